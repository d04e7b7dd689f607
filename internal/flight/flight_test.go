package flight

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestARunThatHangsStays(t *testing.T) {
	var f Flights
	hung := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	f.End("x", hung) // never began
	f.Begin("x", hung)
	for i := range 3 {
		began := hung.Add(time.Duration(i+1) * time.Minute)
		f.Begin("x", began)
		n, since := f.Of("x")
		require.Equal(t, 2, n)
		require.Equal(t, hung, since)
		f.End("x", began.Add(time.Millisecond))
	}
	n, since := f.Of("x")
	require.Equal(t, 1, n)
	require.Equal(t, hung, since)
	f.End("x", hung)
	n, since = f.Of("x")
	require.Zero(t, n)
	require.Zero(t, since)
}
