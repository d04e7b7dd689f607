package consistency

import "fmt"

// outOfWindow adds, to the result of a check that sees a window of time only, what was found out about the rows of earlier runs that the window no longer shows: those
// that are still wrong, and the number of those that nobody could look at. Otherwise a check would be green because its faults grew old.
func (r *Result) outOfWindow(still []Violation, notAsked int) {
	if !r.Windowed {
		return
	}
	switch {
	case len(still) > 0:
		r.Outcome = Inconsistent
		r.Violations = append(r.Violations, still...)
		r.Total += int64(len(still))
	case notAsked > 0 && r.Outcome == Consistent:
		r.Outcome = Unknown
		if r.Reason == "" {
			r.Reason = fmt.Sprintf("%s of earlier runs, older than what the check looks at, cannot be looked at again by their keys", plural(notAsked, "row"))
		}
	}
}
