package columns

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWidth(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc": 3, "注文": 4, "ﾊﾝ": 2, "ＡＢ": 4, "한국": 4, "e\u0301": 1, "🛒": 2, "−": 1, "𠮷野家": 6, "a\u200bb": 2} {
		require.Equal(t, want, Width(text), text)
	}
}
