package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// file makes a snapshot of a header and what follows it.
func file(header string, body ...string) []byte {
	b := append([]byte(header), strings.Join(body, "")...)
	b = append(b, opEnd)
	return binary.LittleEndian.AppendUint64(b, Checksum(0, b))
}

// list reads a whole snapshot: a line for each record.
func list(t *testing.T, in []byte) (lines []string, r *Reader) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(in), nil)
	require.NoError(t, err)
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			require.EqualValues(t, len(in), r.Offset())
			return lines, r
		}
		require.NoError(t, err)
		switch rec.Kind {
		case Key:
			lines = append(lines, fmt.Sprintf("%d %s %q %v%s", rec.DB, TypeName(rec.Type), rec.Name, rec.Expires, rec.Module))
		case Aux:
			lines = append(lines, fmt.Sprintf("aux %s=%s", rec.Name, rec.Value))
		default:
			lines = append(lines, fmt.Sprintf("kind %d", rec.Kind))
		}
	}
}

// The keys of small snapshots that real servers wrote (their fillings are alike), of every coding that they have.
func TestReaderReadsWhatServersWrote(t *testing.T) {
	for name, fieldTTLs := range map[string]bool{"redis-7.0": false, "redis-8.0": true, "valkey-8.1": false, "valkey-9.1": true} {
		in, err := os.ReadFile("testdata/" + name + ".rdb")
		require.NoError(t, err)
		lines, r := list(t, in)
		require.True(t, r.Checksummed())
		flavour, version, _ := strings.Cut(name, "-")
		require.Contains(t, strings.Join(lines, "\n"), fmt.Sprintf("aux %s-ver=%s.", flavour, version))
		var keys []string
		for _, line := range lines {
			if line[0] >= '0' && line[0] <= '9' {
				keys = append(keys, line)
			}
		}
		require.ElementsMatch(t, []string{
			`0 string "session:s" false`, `0 string "session:i" false`, `0 string "session:16" false`, `0 string "session:32" false`,
			`0 string "session:long" true`, fmt.Sprintf(`0 string %q true`, strings.Repeat("compressed", 10)), `3 string "カート:1" false`,
			`0 list "session:list" false`, `0 set "session:ints" false`, `0 set "session:set" false`, `0 zset "session:zset" false`,
			`0 hash "session:hash" false`, `0 stream "session:stream" false`, `2 hash "big:hash" false`, `2 zset "big:zset" false`,
			`2 set "big:set" false`, `2 hash "big:ttl" false`, `2 hash "small:ttl" false`,
		}, keys, name)
		types := map[byte]bool{}
		again, err := NewReader(bytes.NewReader(in), nil)
		require.NoError(t, err)
		for rec, err := again.Next(); err == nil; rec, err = again.Next() {
			types[rec.Type] = true
		}
		require.Equal(t, fieldTTLs, types[typeHashTTLOld] || types[typeHashTTL], "%s: %v", name, types)
	}
}

// Each type's value is passed over exactly, up to the key behind it, and passed on as it is. What servers no longer write is made by hand.
func TestReaderFindsTheEndOfEveryType(t *testing.T) {
	const pel = "0123456789abcdef"
	group := func(times string) string { // a group with one pending entry and two consumers
		return "\x02gr\x01\x00" + "%s" + "\x01" + pel + "deliverd\x41\x00" + "\x02\x01a" + times + "\x01" + pel + "\x01b" + times + "\x00"
	}
	numbers := "\x02\x80\x00\x01\x00\x00\x05" // length, last id
	more := "\x01\x01\x00\x00\x02"            // first id, highest deleted id, entries added
	for _, test := range []struct {
		header string
		typ    byte
		value  string
	}{
		{"REDIS0006", typeString, "\x03abc"},
		{"REDIS0006", typeString, "\xc0\x01"},
		{"REDIS0006", typeString, "\xc1\x01\x02"},
		{"REDIS0006", typeString, "\xc2\x01\x02\x03\x04"},
		{"REDIS0006", typeString, "\xc3\x04\x41\x00\x01a\xe0\x00"},
		{"REDIS0006", typeString, "\x80\x00\x00\x00\x02ab"},
		{"REDIS0006", typeString, "\x81\x00\x00\x00\x00\x00\x00\x00\x02ab"},
		{"REDIS0006", typeList, "\x02\x01a\xc0\x01"},
		{"REDIS0006", typeSet, "\x02\x01a\xc0\x01"},
		{"REDIS0006", typeZSet, "\x04\x01a\x031.5\x01b\xff\x01c\xfe\x01d\xfd"},
		{"REDIS0006", typeHash, "\x02\x01a\x01b\x01c\xc0\x00"},
		{"REDIS0008", typeZSet2, "\x02\x01a12345678\x01b12345678"},
		{"REDIS0006", typeHashZipmap, "\x03abc"},
		{"REDIS0006", typeListZiplist, "\x03abc"},
		{"REDIS0006", typeSetIntset, "\x03abc"},
		{"REDIS0006", typeZSetZiplist, "\x03abc"},
		{"REDIS0006", typeHashZiplist, "\x03abc"},
		{"REDIS0007", typeListQuicklist, "\x02\x01a\x02bc"},
		{"REDIS0009", typeStream, "\x01\x01i\x02lp" + numbers + "\x01" + fmt.Sprintf(group("whenseen"), "")},
		{"REDIS0010", typeHashListpack, "\x03abc"},
		{"REDIS0010", typeZSetListpack, "\x03abc"},
		{"REDIS0010", typeListQuicklist2, "\x02\x01\x01a\x02\x02bc"},
		{"REDIS0010", typeStream2, "\x01\x01i\x02lp" + numbers + more + "\x02" + fmt.Sprintf(group("whenseen")+group("whenseen"), "\x03", "\x04")},
		{"REDIS0011", typeSetListpack, "\x03abc"},
		{"REDIS0011", typeStream3, "\x01\x01i\x02lp" + numbers + more + "\x01" + fmt.Sprintf(group("whenseenwhengave"), "\x03")},
		{"REDIS0012", typeHashTTLOld, "\x02\x00\x01a\x01b\x81\x00\x00\x01\x00\x00\x00\x00\x00\x01c\x01d"},
		{"REDIS0012", typeHashListpackOld, "\x03abc"},
		{"REDIS0012", typeHashTTL, "earliest\x02\x00\x01a\x01b\x05\x01c\x01d"},
		{"REDIS0012", typeHashListpackTTL, "earliest\x03abc"},
		{"VALKEY080", typeValkeyHashTTL, "\x02\x01a\x01bexpires!\x01c\x01d\xff\xff\xff\xff\xff\xff\xff\xff"},
	} {
		name := fmt.Sprintf("%s type %d", test.header, test.typ)
		record := string(test.typ) + "\x03key" + test.value
		in := file(test.header, record, "\x00\x04next\x01v")
		lines, _ := list(t, in)
		require.Equal(t, []string{fmt.Sprintf(`0 %s "key" false`, TypeName(test.typ)), `0 string "next" false`}, lines, name)

		r, err := NewReader(bytes.NewReader(in), nil)
		require.NoError(t, err)
		var out bytes.Buffer
		w := NewWriter(&out, r.Header())
		_, err = r.Next()
		require.NoError(t, err)
		require.NoError(t, r.Pass(w))
		require.NoError(t, w.End())
		require.Equal(t, file(test.header, record), out.Bytes(), name)
		for i := headerSize; i < headerSize+len(record); i++ { // whatever is cut off
			r, err := NewReader(bytes.NewReader(in[:i]), nil)
			require.NoError(t, err)
			for err == nil {
				_, err = r.Next()
			}
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%s, %d bytes", name, i)
		}
	}
}

func TestReaderReadsKeysInEveryCoding(t *testing.T) {
	long := strings.Repeat("k", MaxName)
	for want, coded := range map[string]string{
		"":                       "\x00",
		"k":                      "\x01k",
		"-1":                     "\xc0\xff",
		"-2":                     "\xc1\xfe\xff",
		"-2147483648":            "\xc2\x00\x00\x00\x80",
		strings.Repeat("a", 100): "\xc3\x05\x40\x64\x00a\xe0\x5a\x00",
		long:                     "\x80\x00\x10\x00\x00" + long,
	} {
		lines, _ := list(t, file("REDIS0011", "\xfc\x01\x02\x03\x04\x05\x06\x07\x08\xf8\x41\x00\xf9\x05\x00", coded, "\x01v"))
		require.Equal(t, []string{fmt.Sprintf("0 string %q true", want)}, lines)
	}
	r, err := NewReader(bytes.NewReader(file("REDIS0011", "\x00\x80\x00\x10\x00\x01"+long+"k\x01v")), nil)
	require.NoError(t, err)
	_, err = r.Next()
	require.ErrorContains(t, err, "a name of 1048577 bytes")
}

func TestReaderKeepsOneErrorsPlace(t *testing.T) {
	in := file("REDIS0011", "\xfe\x03", "\x11\x07session\x05abcd") // its value is shorter than it says
	r, err := NewReader(bytes.NewReader(in[:len(in)-9]), nil)
	require.NoError(t, err)
	for range 2 { // SELECTDB, the key
		_, err = r.Next()
		require.NoError(t, err)
	}
	err = r.Pass(nil)
	require.EqualError(t, err, `byte 25, in the zset "session" of db 3: the file ends here, in the middle: it is truncated; copy it again in full, or take a new snapshot`)
}

func TestReaderStopsWhenToldTo(t *testing.T) {
	stop := errors.New("stop")
	_, err := NewReader(strings.NewReader("REDIS0011"), func() error { return stop })
	require.ErrorIs(t, err, stop)
}

func TestReadKeyAt(t *testing.T) {
	in := file("REDIS0011", "\xfc12345678\x00\x03key\x01v", "\xfe\x01")
	key, err := ReadKeyAt(bytes.NewReader(in[headerSize:]), Header{Version: 11})
	require.NoError(t, err)
	require.Equal(t, "key", key)
	_, err = ReadKeyAt(bytes.NewReader(in[headerSize+16:]), Header{Version: 11})
	require.ErrorContains(t, err, "no key begins here")
}

func TestLengthsGoBothWays(t *testing.T) {
	for _, n := range []uint64{0, 1, 63, 64, 16383, 16384, 1<<31 - 1} {
		var out bytes.Buffer
		w := NewWriter(&out, Header{Version: 11})
		w.SelectDB(n)
		require.NoError(t, w.End())
		r, err := NewReader(&out, nil)
		require.NoError(t, err)
		rec, err := r.Next()
		require.NoError(t, err)
		require.Equal(t, SelectDB, rec.Kind)
		require.Equal(t, n, rec.DB)
	}
	require.Equal(t, "\x80\xff\xff\xff\xff", string(appendLength(nil, 1<<32-1)))
	require.Equal(t, "\x81\x00\x00\x00\x01\x00\x00\x00\x00", string(appendLength(nil, 1<<32)))
}

func TestDecompress(t *testing.T) {
	for name, test := range map[string]struct {
		data string
		n    int
		want string
		ok   bool
	}{
		"nothing":                    {"", 0, "", true},
		"literals":                   {"\x02abc", 3, "abc", true},
		"a copy":                     {"\x02abc\x20\x02", 6, "abcabc", true},
		"an overlapping copy":        {"\x00a\x80\x00", 7, "aaaaaaa", true},
		"a long copy":                {"\x00a\xe0\x01\x00", 11, "aaaaaaaaaaa", true},
		"too short":                  {"\x02abc", 4, "abc", false},
		"too long":                   {"\x02abc", 2, "", false},
		"a copy of too much":         {"\x00a\x80\x00", 6, "a", false},
		"from before the beginning":  {"\x00a\x20\x01", 4, "a", false},
		"literals that end early":    {"\x05abc", 6, "", false},
		"a copy without a distance":  {"\x00a\x20", 4, "a", false},
		"a long copy without length": {"\x00a\xe0", 4, "a", false},
	} {
		out, ok := decompress([]byte("before"), []byte(test.data), test.n)
		require.Equal(t, test.ok, ok, name)
		if ok {
			require.Equal(t, "before"+test.want, string(out), name)
		}
	}
}

func TestHeaders(t *testing.T) {
	require.Equal(t, "REDIS0012", Header{Version: 12}.String())
	require.Equal(t, "VALKEY080", Header{Valkey: true, Version: 80}.String())
	require.Equal(t, "ReJSON-RL", moduleName(moduleID(t, "ReJSON-RL")))
}

// moduleID is what a server makes of a module type's name.
func moduleID(t *testing.T, name string) (id uint64) {
	t.Helper()
	require.Len(t, name, 9)
	for _, c := range name {
		id = id<<6 | uint64(strings.IndexRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", c))
	}
	return id<<10 | 3
}
