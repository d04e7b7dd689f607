package consistency

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
)

// maxShown is how many bytes of a value are shown in a violation.
const maxShown = 1024

// counts are the numbers of rows that are missing on the left, missing on the right, and different.
type counts [3]int64

const differing = 2

func (c counts) total() int64 { return c[0] + c[1] + c[2] }

func (c counts) plus(o counts) counts { return counts{c[0] + o[0], c[1] + o[1], c[2] + o[2]} }

func (c counts) minus(o counts) counts { return counts{c[0] - o[0], c[1] - o[1], c[2] - o[2]} }

// differences is a visitor that counts all differences and keeps the first of them.
type differences struct {
	p          *pairing
	asOf       string // rows that changed then or later are left out; "": none
	maxRows    int
	wanted     map[string]bool // count and keep these keys only; nil: all
	counts     counts
	examined   [2]int64
	kept       []Violation
	keptCounts counts
	bytes      int
	full       bool
	// visited, if not nil, is called after each row with its key at the front.
	visited func(row []byte) error
}

func newDifferences(r Reconcile) *differences {
	d := &differences{maxRows: r.MaxRows}
	if d.maxRows == 0 {
		d.maxRows = DefaultMaxRows
	}
	if !r.AsOf.IsZero() {
		d.asOf = r.AsOf.UTC().Format("2006-01-02 15:04:05.999999999")
	}
	return d
}

func (d *differences) settled(p *pairing) { d.p = p }

func (d *differences) done(row []byte) error {
	if d.visited == nil {
		return nil
	}
	return d.visited(row)
}

func (d *differences) same(row []byte) error {
	if !d.tooNew(row) {
		d.examined[0]++
		d.examined[1]++
	}
	return d.done(row)
}

// tooNew reports whether the row changed after the frozen side was made.
func (d *differences) tooNew(row []byte) bool {
	if d.asOf == "" || row == nil {
		return false
	}
	cells := cellsOf(row, len(d.p.rules))
	changed := cells[len(cells)-1]
	return changed != nil && string(changed) >= d.asOf
}

func (d *differences) missing(side int, row []byte) error {
	if !d.tooNew(row) {
		d.examined[1-side]++
		both := [2][]byte{row, nil}
		if side == 0 {
			both = [2][]byte{nil, row}
		}
		if d.isWanted(row) {
			if err := d.count(side, both, nil); err != nil {
				return err
			}
		}
	}
	return d.done(row)
}

func (d *differences) pair(left, right []byte) error {
	if !d.tooNew(left) && !d.tooNew(right) {
		d.examined[0]++
		d.examined[1]++
		unequal, err := d.p.unequal(left, right)
		if err != nil {
			return err
		}
		if len(unequal) > 0 && d.isWanted(left) {
			if err := d.count(differing, [2][]byte{left, right}, unequal); err != nil {
				return err
			}
		}
	}
	return d.done(left)
}

func (d *differences) isWanted(row []byte) bool {
	return d.wanted == nil || d.wanted[keyText(d.p.keyKinds, keyOf(row, d.p.keys))]
}

// unequal returns the positions of the compared columns that differ.
func (p *pairing) unequal(left, right []byte) ([]int, error) {
	var unequal []int
	l, r := left, right
	for i := range p.keys + p.compared {
		var a, b []byte
		a, l = nextCell(l)
		b, r = nextCell(r)
		if i < p.keys {
			continue
		}
		same, err := sameCell(p.kinds[i], &p.rules[i], a, b)
		if err != nil {
			return nil, Permanent(fmt.Errorf("column %q of the row with the key %s: a value that differs is one %w", p.rules[i].Name, p.showKey(left), err))
		}
		if !same {
			unequal = append(unequal, i)
		}
	}
	return unequal, nil
}

func (d *differences) count(fault int, sides [2][]byte, unequal []int) error {
	d.counts[fault]++
	if d.full || len(d.kept) >= d.maxRows {
		return nil
	}
	v, err := d.p.violation(sides, unequal)
	if err != nil {
		return err
	}
	size := len(v.Key) + len(v.Content)
	for _, f := range v.Row {
		size += len(f.Name) + sizeOf(f.Value)
	}
	if d.bytes+size > maxKeptBytes && len(d.kept) > 0 {
		d.full = true
		return nil
	}
	d.bytes += size
	d.keptCounts[fault]++
	d.kept = append(d.kept, v)
	return nil
}

func (d *differences) findings() (Findings, error) {
	examined := d.examined[0] + d.examined[1]
	if examined == 0 {
		return Findings{}, errNothingExamined
	}
	f := Findings{Violations: d.kept, Total: d.counts.total(), Examined: examined}
	if f.Total > 0 {
		f.Breakdown = []Count{{"missing in " + d.p.names[0], d.counts[0]}, {"missing in " + d.p.names[1], d.counts[1]}, {"different", d.counts[differing]}}
	}
	return f, nil
}

// violation describes a row that one side (nil) does not have, or whose columns at unequal differ.
func (p *pairing) violation(sides [2][]byte, unequal []int) (Violation, error) {
	var cells [2][][]byte
	present := sides[0]
	for side, row := range sides {
		if row != nil {
			cells[side] = cellsOf(row, len(p.rules))
			present = row
		}
	}
	key := keyOf(present, p.keys)
	row := make(Row, 0, p.keys+1+2*p.compared)
	for i, text := range key {
		row = append(row, Field{p.rules[i].Name, publicValue(p.kinds[i], text)})
	}
	var difference string
	show := unequal
	switch {
	case sides[0] == nil:
		difference = "missing in " + p.names[0]
	case sides[1] == nil:
		difference = "missing in " + p.names[1]
	default:
		var names []string
		for _, i := range unequal {
			names = append(names, p.rules[i].Name)
		}
		difference = strings.Join(names, ", ")
	}
	if unequal == nil { // what the row is that the other side does not have
		for i := range p.compared {
			show = append(show, p.keys+i)
		}
	}
	row = append(row, Field{"difference", difference})
	for _, i := range show {
		for side, c := range cells {
			if c != nil {
				row = append(row, Field{p.names[side] + "." + p.rules[i].name(side), p.shown(i, c[i])})
			}
		}
	}
	content, err := p.content(difference, cells)
	return Violation{Key: keyText(p.keyKinds, key), Row: row, Content: content}, err
}

func (p *pairing) shown(i int, cell []byte) any {
	switch {
	case p.masks(p.rules[i]):
		return masked
	case cell == nil:
		return nil
	case len(cell) <= maxShown:
		return publicValue(p.kinds[i], string(cell))
	case p.kinds[i] == KindBinary:
		return fmt.Sprintf("%s… (%d bytes)", binaryText(cell[:maxShown/2]), len(cell))
	}
	return clipText(cell, maxShown)
}

// contentKey keeps a digest of masked values from being guessed: it is another one in each process.
var contentKey = sync.OnceValue(func() []byte {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return key
})

// content is a digest of what was compared, so that a row that changes between two looks is seen to.
func (p *pairing) content(difference string, cells [2][][]byte) (string, error) {
	h := sha256.New()
	for _, c := range p.rules[p.keys : p.keys+p.compared] {
		if p.masks(c) {
			h = hmac.New(sha256.New, contentKey())
			break
		}
	}
	h.Write(appendCell(nil, []byte(difference)))
	for _, side := range cells {
		if side == nil {
			continue
		}
		for i := p.keys; i < p.keys+p.compared; i++ {
			ruled, err := appendRuled([]byte{}, p.kinds[i], &p.rules[i], side[i])
			if err != nil {
				return "", Permanent(fmt.Errorf("column %q: a value that differs is one %w", p.rules[i].Name, err))
			}
			h.Write(appendCell(nil, ruled))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}
