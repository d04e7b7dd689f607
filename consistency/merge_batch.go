package consistency

import (
	"bytes"
	"encoding/binary"
)

const (
	// A batch is handed over when it holds this many rows or bytes; each side has at most three, so that memory does not grow with the data.
	batchRows  = 512
	batchBytes = 64 << 10
	// batchKept is the largest buffer that is used again: one huge row must not be paid for until the end.
	batchKept = 1 << 20
	batches   = 3
)

// batch holds rows as cells one behind the other: four bytes of length, then the value in the neutral form. Rows that are the same byte for byte are the same.
type batch struct {
	data []byte
	ends []int
}

func (b *batch) reset() {
	if cap(b.data) > batchKept {
		b.data = nil
	}
	b.data, b.ends = b.data[:0], b.ends[:0]
}

func (b *batch) row(i int) []byte {
	start := 0
	if i > 0 {
		start = b.ends[i-1]
	}
	return b.data[start:b.ends[i]]
}

// nullLength stands for NULL.
const nullLength = 1<<32 - 1

// appendCell appends a value as a cell. A nil is NULL.
func appendCell(dst, value []byte) []byte {
	if value == nil {
		return binary.LittleEndian.AppendUint32(dst, nullLength)
	}
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(value))), value...)
}

// nextCell returns the first cell of row, nil for NULL, and what follows.
func nextCell(row []byte) (cell, rest []byte) {
	n := binary.LittleEndian.Uint32(row)
	if n == nullLength {
		return nil, row[4:]
	}
	end := 4 + int(n)
	return row[4:end:end], row[end:]
}

// cellsOf returns the cells of a row.
func cellsOf(row []byte, columns int) [][]byte {
	cells := make([][]byte, columns)
	for i := range cells {
		cells[i], row = nextCell(row)
	}
	return cells
}

// compareKeyCells compares the keys at the front of two rows.
func compareKeyCells(kinds []Kind, a, b []byte) int {
	for _, k := range kinds {
		var x, y []byte
		x, a = nextCell(a)
		y, b = nextCell(b)
		if c := compareCells(k, x, y); c != 0 {
			return c
		}
	}
	return 0
}

// keyEnd returns where the key at the front of a row ends.
func keyEnd(row []byte, keys int) int {
	rest := row
	for range keys {
		_, rest = nextCell(rest)
	}
	return len(row) - len(rest)
}

// keyCells writes a key as cells.
func keyCells(key neutralKey) []byte {
	if key == nil {
		return nil
	}
	var b []byte
	for _, text := range key {
		b = appendCell(b, []byte(text))
	}
	return b
}

// keyOf reads the key at the front of a row.
func keyOf(row []byte, keys int) neutralKey {
	key := make(neutralKey, keys)
	for i := range key {
		var cell []byte
		cell, row = nextCell(row)
		key[i] = string(bytes.Clone(cell))
	}
	return key
}
