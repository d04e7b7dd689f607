package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecondsKeepFourDigits(t *testing.T) {
	require.Equal(t, "2.310", seconds(2.31))
	require.Equal(t, "13.20", seconds(13.2))
	require.Equal(t, "0.00008765", seconds(87.651e-6))
	require.Equal(t, "12345", seconds(12345))
}

func TestMedianIsNotMovedByOneSlowRun(t *testing.T) {
	require.Equal(t, 2.0, median([]float64{90, 1, 2}))
	require.Equal(t, 1.5, median([]float64{1, 2}))
}
