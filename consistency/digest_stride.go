package consistency

import (
	"context"
	"database/sql"
	"math/big"
)

const (
	// strideSpread is how far apart the keys of a table may lie, in keys to a row, to divide them by arithmetic: a range then holds at most strideSpread times the rows that are aimed at.
	strideSpread = 4
	// strideRanges is the number of ranges until the index is asked again how close the keys lie.
	strideRanges = 16
)

// stride divides a key that is one whole number by arithmetic where its values lie close together. To find a boundary in the index, the server walks over as many entries as the range has rows, a
// twentieth of the whole comparison. Ranges of any width are correct; what the arithmetic could get wrong is their size, which is bounded by their width.
type stride struct {
	last  *big.Int // the largest key as the walk began; nil: the key cannot be divided so
	width *big.Int // of a range; nil: not known, or the keys lie too far apart
	left  int      // how many ranges it is good for
}

// stride asks for the largest key, which is the end of the index.
func (s *digestSession) stride(ctx context.Context, key keyColumns, through *uniqueKey) (t stride, err error) {
	if len(key) != 1 || !isIntegerType(key[0].column.dataType) || key[0].kind != KindInteger {
		return t, nil
	}
	stmt := "SELECT MAX(" + quoteName(key[0].column.name) + ") FROM " + s.schema.quoted + " FORCE INDEX (" + quoteName(through.name) + ")"
	err = s.query(ctx, "ask for the end of "+s.schema.quoted, stmt, nil, func(rows *sql.Rows) error {
		for rows.Next() {
			var last sql.NullString
			if err := rows.Scan(&last); err != nil {
				return err
			}
			if n, ok := new(big.Int).SetString(last.String, 10); ok {
				t.last = n
			}
		}
		return rows.Err()
	})
	return t, err
}

// next returns the end of the range after a key; nil: the index has to be asked.
func (t *stride) next(after neutralKey) neutralKey {
	if t.width == nil || t.left == 0 {
		return nil
	}
	upTo, ok := new(big.Int).SetString(after[0], 10)
	if !ok || upTo.Add(upTo, t.width).Cmp(t.last) >= 0 {
		return nil // the index knows what has been added since
	}
	t.left--
	return neutralKey{upTo.String()}
}

// asked notes which boundary the index gave for so many rows.
func (t *stride) asked(after, upTo neutralKey, rows int64) {
	t.width = nil
	if t.last == nil || after == nil || upTo == nil {
		return
	}
	from, ok := new(big.Int).SetString(after[0], 10)
	to, ok2 := new(big.Int).SetString(upTo[0], 10)
	if !ok || !ok2 {
		return
	}
	if to.Sub(to, from); to.Sign() > 0 && to.Cmp(big.NewInt(strideSpread*rows)) <= 0 {
		t.width, t.left = to, strideRanges
	}
}
