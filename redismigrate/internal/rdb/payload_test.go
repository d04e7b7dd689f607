package rdb

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPayloadIsWhatDumpReturns(t *testing.T) {
	// As Redis 7.0.15 answered DUMP of a key that was SET to "v".
	require.Equal(t, "\x00\x01v\n\x00\x91\b\xce\xb2\x198\x8a\xce", string(Payload(10, 0, []byte("\x01v"))))
	require.Zero(t, Checksum(0, Payload(80, 7, nil)), "the checksum over data followed by its checksum is zero")
}
