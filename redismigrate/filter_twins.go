package redismigrate

import (
	"bufio"
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"slices"

	"github.com/tashikame-go/tashikame/redismigrate/internal/rdb"
)

// sighting is a kept key that may stand a second time in the db to which it goes, known by two independent hashes.
type sighting struct {
	hash   [2]uint64
	offset int64
	from   int32
	to     int32
}

const sightingSize = 32

func (s sighting) compare(o sighting) int {
	return cmp.Or(cmp.Compare(s.to, o.to), cmp.Compare(s.hash[0], o.hash[0]), cmp.Compare(s.hash[1], o.hash[1]), cmp.Compare(s.offset, o.offset))
}

// twinRun is how many sightings are sorted in memory: 4 MiB. Beyond that, sorted runs go to a temporary file and are merged at the end, with
// a buffer of 4 KiB for each.
const twinRun = 1 << 17

// twinFinder finds keys that stand in more than one of the dbs that become one, in bounded memory: an external merge sort of fingerprints.
type twinFinder struct {
	shared   map[int]bool // targets of more than one db
	seeds    [2]maphash.Seed
	capacity int
	run      []sighting
	dir      string
	file     *os.File
	ends     []int64 // in the file, of each run, in sightings
}

func newTwinFinder(opt FilterOptions) *twinFinder {
	t := &twinFinder{shared: map[int]bool{}, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, dir: opt.TempDir, capacity: twinRun}
	takes := func(db int) bool { return len(opt.DBs) == 0 || slices.Contains(opt.DBs, db) }
	sources := map[int]int{}
	for from, to := range opt.DBMap {
		if _, named := opt.DBMap[to]; !named && takes(to) && sources[to] == 0 {
			sources[to]++ // the db that has this number and keeps it
		}
		if takes(from) {
			sources[to]++
		}
		t.shared[to] = sources[to] > 1
	}
	return t
}

// see notes a kept key.
func (t *twinFinder) see(name string, offset int64, db *FilteredDB) error {
	if !t.shared[db.Target] {
		return nil
	}
	if len(t.run) == t.capacity {
		if err := t.spill(); err != nil {
			return fmt.Errorf("look for keys that stand in two dbs (FilterOptions.TempDir): %w", err)
		}
	}
	if t.run == nil {
		t.run = make([]sighting, 0, t.capacity)
	}
	t.run = append(t.run, sighting{
		hash:   [2]uint64{maphash.String(t.seeds[0], name), maphash.String(t.seeds[1], name)},
		offset: offset, from: int32(db.DB), to: int32(db.Target),
	})
	return nil
}

// spill appends the run, sorted, to the temporary file.
func (t *twinFinder) spill() (err error) {
	if t.file == nil {
		if t.file, err = os.CreateTemp(t.dir, "tashikame-filter-*"); err != nil {
			return err
		}
		_ = os.Remove(t.file.Name()) // so that a kill leaves nothing behind; where that cannot be done, close does it
	}
	slices.SortFunc(t.run, sighting.compare)
	out := bufio.NewWriterSize(t.file, 64<<10)
	var b [sightingSize]byte
	for _, s := range t.run {
		binary.LittleEndian.PutUint64(b[0:], s.hash[0])
		binary.LittleEndian.PutUint64(b[8:], s.hash[1])
		binary.LittleEndian.PutUint64(b[16:], uint64(s.offset))
		binary.LittleEndian.PutUint32(b[24:], uint32(s.from))
		binary.LittleEndian.PutUint32(b[28:], uint32(s.to))
		if _, err := out.Write(b[:]); err != nil {
			return err
		}
	}
	end := int64(len(t.run))
	if n := len(t.ends); n > 0 {
		end += t.ends[n-1]
	}
	t.ends = append(t.ends, end)
	t.run = t.run[:0]
	return out.Flush()
}

func (t *twinFinder) close() {
	if t.file != nil {
		t.file.Close()
		_ = os.Remove(t.file.Name()) // as a rule it is gone already
	}
}

// each calls f for each pair of sightings that are equal but for their db.
func (t *twinFinder) each(ctx context.Context, f func(a, b sighting) error) error {
	slices.SortFunc(t.run, sighting.compare)
	runs := &runHeap{&sortedRun{rest: t.run}}
	begin := int64(0)
	for _, end := range t.ends {
		part := io.NewSectionReader(t.file, begin*sightingSize, (end-begin)*sightingSize)
		*runs = append(*runs, &sortedRun{file: bufio.NewReaderSize(part, 4<<10)})
		begin = end
	}
	var live runHeap
	for _, run := range *runs {
		if more, err := run.next(); err != nil {
			return err
		} else if more {
			live = append(live, run)
		}
	}
	heap.Init(&live)
	var last sighting
	for n := 0; len(live) > 0; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		s := live[0].head
		if n > 0 && s.to == last.to && s.hash == last.hash && s.from != last.from {
			if err := f(last, s); err != nil {
				return err
			}
		}
		last = s
		more, err := live[0].next()
		switch {
		case err != nil:
			return err
		case more:
			heap.Fix(&live, 0)
		default:
			heap.Pop(&live)
		}
	}
	return nil
}

// maxColliding bounds FilterResult.Colliding.
const maxColliding = 10

// report refuses if a key stands in two dbs that become one. Where the input can be read again, the first of them are looked up: they get
// their names, and it is the keys that are compared, not hashes.
func (t *twinFinder) report(ctx context.Context, result *FilterResult, in io.ReadSeeker, origin int64, header rdb.Header) error {
	err := t.each(ctx, func(a, b sighting) error {
		found := CollidingKey{DBs: [2]int{int(a.from), int(b.from)}, Offsets: [2]int64{a.offset, b.offset}, Target: int(a.to)}
		if len(result.Colliding) < maxColliding {
			if in != nil {
				var names [2]string
				for i, offset := range found.Offsets {
					if _, err := in.Seek(origin+offset, io.SeekStart); err != nil {
						return err
					}
					var err error
					if names[i], err = rdb.ReadKeyAt(in, header); err != nil {
						return fmt.Errorf("read the key at byte %d again: %w", offset, err)
					}
				}
				if names[0] != names[1] {
					return nil // two keys of one hash
				}
				found.Key = names[0]
			}
			result.Colliding = append(result.Colliding, found)
		}
		result.Collisions++
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for keys that stand in two dbs: %w", err)
	}
	if result.Collisions > 0 {
		return refuse("%d kept keys stand in two dbs that DBMap makes one, the first of them %v; nothing that loads was written: give the dbs different targets, or narrow the selector", result.Collisions, result.Colliding[0])
	}
	return nil
}

// seekable returns the input as a seeker, and where it stands, if it can be read again.
func seekable(in io.Reader) (io.ReadSeeker, int64) {
	s, ok := in.(io.ReadSeeker)
	if !ok {
		return nil, 0
	}
	origin, err := s.Seek(0, io.SeekCurrent)
	if err != nil { // a pipe
		return nil, 0
	}
	return s, origin
}

// sortedRun is a sorted sequence of sightings, in memory or in a file.
type sortedRun struct {
	head sighting
	rest []sighting
	file *bufio.Reader
}

// next moves head on; false: there is no more.
func (r *sortedRun) next() (bool, error) {
	if r.file == nil {
		if len(r.rest) == 0 {
			return false, nil
		}
		r.head, r.rest = r.rest[0], r.rest[1:]
		return true, nil
	}
	var b [sightingSize]byte
	if _, err := io.ReadFull(r.file, b[:]); errors.Is(err, io.EOF) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	r.head = sighting{
		hash:   [2]uint64{binary.LittleEndian.Uint64(b[0:]), binary.LittleEndian.Uint64(b[8:])},
		offset: int64(binary.LittleEndian.Uint64(b[16:])),
		from:   int32(binary.LittleEndian.Uint32(b[24:])),
		to:     int32(binary.LittleEndian.Uint32(b[28:])),
	}
	return true, nil
}

type runHeap []*sortedRun

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return h[i].head.compare(h[j].head) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is required by heap.Interface.
func (h *runHeap) Push(x any) { *h = append(*h, x.(*sortedRun)) }

// Pop is required by heap.Interface.
func (h *runHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
