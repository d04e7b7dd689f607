package redismigrate

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/tashikame-go/tashikame/internal/bench"
	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/redismigrate/internal/rdb"
)

// BenchmarkFilter keeps the 300,000 sessions of a snapshot of 1,000,000 keys that a server wrote, from memory to nowhere, on one core.
// Floor: copying the same bytes and computing their checksum.
func BenchmarkFilter(b *testing.B) {
	s := servers.OwnRedis(b, "--save", "")
	if err := fillBench(s.Direct()); err != nil {
		b.Fatal(err)
	}
	text, err := s.Exec("sh", "-c", "redis-cli SAVE >/dev/null && base64 -w0 /data/dump.rdb") // takes longer than a client waits
	if err != nil {
		b.Fatal(err)
	}
	snapshot, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	keep := Selector{ID: "sessions", Include: []string{"session:*"}}
	bench.Benchmark{
		Name: "filter/rdb", Runs: 5, Mem: true, Allocs: true, Bytes: int64(len(snapshot)),
		Ours: func() error {
			r, err := Filter(context.Background(), bytes.NewReader(snapshot), writeOnly{io.Discard}, keep, FilterOptions{})
			if err == nil && (!r.Complete || r.Kept != benchSessions || r.Dropped != benchOthers) {
				err = fmt.Errorf("unexpected result: %v", r)
			}
			return err
		},
		Floor: func() error {
			sum := &summing{}
			n, err := io.CopyBuffer(writeOnly{io.MultiWriter(sum, io.Discard)}, readOnly{bytes.NewReader(snapshot)}, make([]byte, 256<<10))
			if err == nil && n != int64(len(snapshot)) {
				err = io.ErrShortWrite
			}
			return err
		},
	}.Run(b)
}

// readOnly and writeOnly hide the shortcuts by which io.Copy would copy nothing.
type readOnly struct{ io.Reader }
type writeOnly struct{ io.Writer }

type summing struct{ crc uint64 }

func (s *summing) Write(p []byte) (int, error) {
	s.crc = rdb.Checksum(s.crc, p)
	return len(p), nil
}
