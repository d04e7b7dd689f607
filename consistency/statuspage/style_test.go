package statuspage

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func queryEscape(s string) string { return url.QueryEscape(s) }

// luminance and contrast are those of WCAG 2.2: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
func luminance(t *testing.T, color string) float64 {
	var r, g, b uint8
	_, err := fmt.Sscanf(color, "#%02x%02x%02x", &r, &g, &b)
	require.NoError(t, err, color)
	linear := func(c uint8) float64 {
		v := float64(c) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestContrastIsEnoughInLightAndDark(t *testing.T) {
	light, dark, ok := strings.Cut(pageCSS, "@media (prefers-color-scheme: dark)")
	require.True(t, ok)
	for name, css := range map[string]string{"light": light, "dark": dark} {
		colors := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})`).FindAllStringSubmatch(css, -1) {
			colors[m[1]] = m[2]
		}
		require.Len(t, colors, 13, name)
		for _, pair := range [][2]string{
			{"text", "page"}, {"text", "panel"}, {"text", "tag"}, {"soft", "page"}, {"soft", "panel"}, {"link", "page"}, {"link", "panel"},
			{"on-bad", "bad"}, {"on-unknown", "unknown"}, {"on-good", "good"}, {"bad", "page"}, {"bad", "panel"},
		} {
			require.GreaterOrEqual(t, contrast(t, colors[pair[0]], colors[pair[1]]), 4.5, "%s: %s on %s", name, pair[0], pair[1])
		}
		for _, mark := range []string{"bad", "unknown", "good"} { // what is not text needs 3
			require.GreaterOrEqual(t, contrast(t, colors[mark], colors["panel"]), 3.0, "%s: %s", name, mark)
		}
	}
}
