package redismigrate

import (
	"fmt"
	"strings"
	"time"
)

// String is the report for a person to read.
func (r *Rehearsal) String() string {
	if r == nil || r.Strategy == "" {
		return "no rehearsal"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rehearsal of %s, %s: %s\n  from %s\n  to   %s\n", r.Strategy, r.At.Format("2006-01-02 15:04"), rehearsalVerdict(r.Verdict), r.From, r.To)
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "  %s\n", reason)
	}
	fmt.Fprintf(&b, "\n%-22s %14s %10s %26s %10s\n", "step", "keys", "took", "forecast for full size", "abort at")
	for _, s := range r.Steps {
		abort := ""
		if r.Window > 0 {
			abort = "+" + roundTime(s.AbortAt).String()
		}
		fmt.Fprintf(&b, "%-22s %14d %10s %26s %10s\n", s.Name, s.Measured.Keys.Value, roundTime(s.Elapsed), s.Forecast, abort)
	}
	fmt.Fprintf(&b, "%-22s %14s %10s %26s\n", "total", "", "", r.Total)
	if r.Window > 0 {
		fmt.Fprintf(&b, "\nthe window is %s; a step that is not over at its abort line, counted from the window's beginning, means: go back (%s)\n", r.Window, roundTime(r.Back))
	}
	if len(r.Types) > 0 {
		fmt.Fprintf(&b, "\n%-22s %14s %14s %14s\n", "type", "keys sampled", "read, a key", "write, a key")
		for _, t := range r.Types {
			fmt.Fprintf(&b, "%-22s %14d %14s %14s\n", t.Type, t.Keys, perKey(t.Read, t.Keys), perKey(t.Write, t.Keys))
		}
	}
	for _, d := range r.Discrepancies {
		fmt.Fprintf(&b, "differs from production: %s\n", d)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "mind: %s\n", w)
	}
	return strings.TrimRight(b.String(), "\n")
}

func rehearsalVerdict(v Verdict) string {
	switch v {
	case Match:
		return "it works"
	case Mismatch:
		return "it does not work"
	}
	return "could not tell"
}

// String is the forecast with its range: "3m10s (2m50s to 4m0s)".
func (f Forecast) String() string {
	return fmt.Sprintf("%s (%s to %s)", roundTime(f.Likely), roundTime(f.Low), roundTime(f.High))
}

// roundTime keeps about three digits.
func roundTime(d time.Duration) time.Duration {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond)
	case d < time.Minute:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}

func perKey(d time.Duration, keys int64) string {
	if keys == 0 {
		return ""
	}
	return (d / time.Duration(keys)).Round(100 * time.Nanosecond).String()
}
