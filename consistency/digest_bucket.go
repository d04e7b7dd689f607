package consistency

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// bucketRows is the number of rows of a bucket that is aimed at.
	bucketRows = 512
	// minBuckets and maxBuckets bound the memory: two digests of about 200 bytes for each.
	minBuckets, maxBuckets = 1024, 16384
	// bucketChunk is the number of rows of one statement: its answer has up to maxBuckets rows.
	bucketChunk = 16 * digestRows
	// bucketsAtOnce is the number of differing buckets that are read with one statement, which looks at all keys.
	bucketsAtOnce = 512
	// bucketReads is how many such statements are worth it; beyond that all rows are read and merged.
	bucketReads = 3
)

// compareBuckets compares tables whose servers order the keys differently, as collations do: by a hash of the key, which is the same on both, the rows are put into buckets. done is
// false where so much differs that a merge takes less.
func (plan *digestPlan) compareBuckets(ctx context.Context, found *differences) (done bool, err error) {
	divisor := int(min(max(plan.rows/plan.bucketRows, minBuckets), maxBuckets))
	sessions, err := plan.openBoth(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		if cerr := closeBoth(ctx, sessions); err == nil {
			err = cerr
		}
	}()
	var all [2][]digest
	var other error
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		all[1], other = plan.allBuckets(ctx, sessions[1], divisor)
	}()
	all[0], err = plan.allBuckets(ctx, sessions[0], divisor)
	<-finished
	if err = errors.Join(err, other); err != nil {
		return false, err
	}
	var differ []int
	for i := range divisor {
		if l, r := &all[0][i], &all[1][i]; !l.same(r) {
			differ = append(differ, i)
		}
	}
	if len(differ) > bucketReads*bucketsAtOnce || len(differ) > max(divisor/4, 8) {
		return false, nil
	}
	for i := range divisor {
		if _, isDifferent := slices.BinarySearch(differ, i); !isDifferent {
			found.examined[0] += all[0][i].rows
			found.examined[1] += all[1][i].rows
		}
	}
	for some := range slices.Chunk(differ, bucketsAtOnce) {
		var parts [2]extent
		for side, d := range plan.sides {
			numbers := make([]string, len(some))
			for i, n := range some {
				numbers[i] = strconv.Itoa(n)
			}
			parts[side] = extent{where: d.bucket(divisor) + " IN (" + strings.Join(numbers, ", ") + ")", sorted: true}
		}
		if err := plan.readPart(ctx, sessions, parts, found); err != nil {
			return false, err
		}
	}
	return true, nil
}

// allBuckets digests the whole table, in pieces of the index in the server's own order.
func (plan *digestPlan) allBuckets(ctx context.Context, s *digestSession, divisor int) ([]digest, error) {
	buckets := make([]digest, divisor)
	outside := false
	add := func(bucket int, d *digest) {
		if bucket < 0 || bucket >= divisor {
			outside = true
			return
		}
		buckets[bucket].add(d)
	}
	key := ownKey(s.side.unique)
	var after neutralKey
	for {
		upTo, where, err := s.nextChunk(ctx, key, after, plan.chunkRows)
		if err != nil {
			return nil, err
		}
		if err := s.buckets(ctx, where, divisor, add); err != nil {
			return nil, err
		}
		if outside {
			return nil, Permanent(fmt.Errorf("%s: a bucket beyond %d: %w", s.schema.quoted, divisor, errContradiction))
		}
		if upTo == nil {
			return buckets, nil
		}
		after = upTo
	}
}

// nextChunk returns the condition for the next rows in the order of the index, and its end; nil: it is the last.
func (s *digestSession) nextChunk(ctx context.Context, key keyColumns, after neutralKey, rows int64) (upTo neutralKey, where string, err error) {
	if key == nil {
		return nil, "", nil
	}
	if upTo, err = s.boundary(ctx, key, s.side.unique, after, nil, rows); err != nil {
		return nil, "", err
	}
	if where, err = key.between(after, upTo, true); errors.Is(err, errNoLiteral) { // the rest at once
		upTo = nil
		where, err = key.between(after, nil, true)
	}
	return upTo, where, err
}

// ownKey is a key by which the server's own order is walked; nil: its values cannot be written exactly.
func ownKey(unique *uniqueKey) keyColumns {
	key := make(keyColumns, len(unique.columns))
	for i, c := range unique.columns {
		key[i] = tableKey{column: c}
		switch {
		case isIntegerType(c.dataType):
			key[i].kind = KindInteger
		case c.dataType == "decimal":
			key[i].kind = KindDecimal
		case c.dataType == "char" || c.dataType == "varchar":
			key[i].kind = KindText
		case c.dataType == "binary" || c.dataType == "varbinary":
			key[i].kind = KindBinary
		case c.dataType == "datetime" || c.dataType == "timestamp":
			key[i].kind = KindTime
		case c.dataType == "date":
			key[i].kind = KindDate
		default:
			return nil
		}
	}
	return key
}
