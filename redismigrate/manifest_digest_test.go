package redismigrate

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// craftPayload puts a payload together from its type and body; the trailer is not looked at but for types in order.
func craftPayload(kind byte, body string, trailer string) string {
	return string([]byte{kind}) + body + "\x0c\x00" + (trailer + "00000000")[:8]
}

func short(s string) string { return string([]byte{byte(len(s))}) + s }

func TestMembersAreDigestedInAnyOrder(t *testing.T) {
	compressed := "\xc3\x04\x14ABCD" // 4 bytes, 20 before
	set := func(trailer string, members ...string) string {
		return craftPayload(rdbSet, string([]byte{byte(len(members))})+strings.Join(members, ""), trailer)
	}
	members := []string{short("a"), short("ab"), "\xc0\x7f", "\xc1\x01\x02", "\xc2\x01\x02\x03\x04", compressed, "\x40\x05hello", "\x80\x00\x00\x00\x02hi", "\x81\x00\x00\x00\x00\x00\x00\x00\x02ho"}
	want, err := digestOf(set("first", members...))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(want, digestMembers))
	for i := range 20 {
		rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		got, err := digestOf(set(fmt.Sprint(i), members...))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for i := range members { // any other member, or one less, is another value
		other := append([]string(nil), members...)
		other[i] = short("another")
		got, err := digestOf(set("first", other...))
		require.NoError(t, err)
		require.NotEqual(t, want, got)
		got, err = digestOf(set("first", append(other[:i], other[i+1:]...)...))
		require.NoError(t, err)
		require.NotEqual(t, want, got)
	}
	// Fields and values do not mix.
	a, err := digestOf(craftPayload(rdbHash, "\x02"+short("f")+short("v")+short("g")+short("w"), ""))
	require.NoError(t, err)
	b, err := digestOf(craftPayload(rdbHash, "\x02"+short("g")+short("w")+short("f")+short("v"), "x"))
	require.NoError(t, err)
	require.Equal(t, a, b)
	b, err = digestOf(craftPayload(rdbHash, "\x02"+short("f")+short("w")+short("g")+short("v"), ""))
	require.NoError(t, err)
	require.NotEqual(t, a, b)
	// A field's expiry counts, and the one that all are relative to.
	ttl := func(base, of string) string {
		d, err := digestOf(craftPayload(rdbHashTTL, base+"\x01"+of+short("f")+short("v"), ""))
		require.NoError(t, err)
		return d
	}
	require.NotEqual(t, ttl("00000000", "\x01"), ttl("00000000", "\x02"))
	require.NotEqual(t, ttl("00000000", "\x01"), ttl("00000001", "\x01"))
}

func TestOrderedPayloadsAreTheirChecksum(t *testing.T) {
	a, err := digestOf(craftPayload(0, short("v"), "checksum"))
	require.NoError(t, err)
	require.Equal(t, "c0:636865636b73756d", a)
	same, err := digestPayload(strings.NewReader(craftPayload(0, short("v"), "checksum")), int64(len(craftPayload(0, short("v"), "checksum"))))
	require.NoError(t, err)
	require.Equal(t, a, same, "by either way")
	x, err := digestOf(craftPayload(rdbHashTTL2, "whatever", "checksum"))
	require.NoError(t, err)
	require.Equal(t, "x22:636865636b73756d", x)
}

func TestBrokenPayloads(t *testing.T) {
	whole := craftPayload(rdbHash, "\x02"+short("f")+short("v")+short("g")+short("w"), "")
	for n := range len(whole) - payloadTrailer {
		_, err := digestPayload(strings.NewReader(whole[:n]), int64(len(whole)))
		require.Error(t, err, "%d bytes", n)
	}
	for _, bad := range []string{"", "x", craftPayload(rdbSet, "\x01\xc4", ""), craftPayload(rdbSet, "\x01\x82", ""), craftPayload(rdbSet, "\x01\xc3\xc0\x01", ""), craftPayload(rdbSet, "\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff", "")} {
		_, err := digestOf(bad)
		require.Error(t, err, "%q", bad)
	}
}

func TestRawReplyIsDigested(t *testing.T) {
	payload := craftPayload(0, short("v"), "checksum")
	reply := func(text string) (string, error) { return digestReply(bufio.NewReader(strings.NewReader(text))) }
	d, err := reply(fmt.Sprintf("$%d\r\n%s\r\n", len(payload), payload))
	require.NoError(t, err)
	require.Equal(t, "c0:636865636b73756d", d)
	for _, none := range []string{"$-1\r\n", "_\r\n"} {
		d, err := reply(none)
		require.NoError(t, err)
		require.Empty(t, d)
	}
	_, err = reply("-NOPERM no\r\n")
	require.EqualError(t, err, "NOPERM no")
	_, err = reply(fmt.Sprintf("$%d\r\n%s", len(payload), payload[:5]))
	require.Error(t, err)
	_, err = reply(":1\r\n")
	require.Error(t, err)
}

func FuzzDigestPayload(f *testing.F) {
	f.Add([]byte(craftPayload(rdbSet, "\x01"+short("a"), "")))
	f.Add([]byte(craftPayload(rdbHashTTL, "00000000\x01\x00"+short("a")+short("b"), "")))
	f.Fuzz(func(t *testing.T, payload []byte) { _, _ = digestOf(string(payload)) }) // neither panics nor allocates what a length claims
}
