package slack

import (
	"strings"

	"github.com/tashikame-go/tashikame/consistency"
)

// headline is the event's, in one escaped line. Why nobody could tell has a line of its own.
func headline(e consistency.Event) string {
	const why = "why"
	e.Reason = why
	return line(strings.TrimSuffix(e.Headline(), ": "+why), 300)
}

// well reports whether nothing is wrong as far as is known, and it is known.
func well(e consistency.Event) bool { return e.Outcome == consistency.Consistent && e.Wrong() == 0 }
