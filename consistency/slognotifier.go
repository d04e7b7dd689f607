package consistency

import (
	"context"
	"log/slog"
)

// SlogNotifier logs one record for each result: the headline, count first, as the message, and the rest as attributes. Inconsistent and
// Unknown are logged at error level (warning for SeverityMinor), Consistent at info level.
type SlogNotifier struct {
	// Logger takes the records. Nil: slog.Default().
	Logger *slog.Logger
	// MaxRows and MaxBytes limit the rows that a record shows; how many were left out is said. Zero: DefaultReportRows and DefaultReportBytes.
	MaxRows, MaxBytes int
}

// Notify logs the event. It never fails.
func (n SlogNotifier) Notify(ctx context.Context, e Event) (Receipt, error) {
	log := n.Logger
	if log == nil {
		log = slog.Default()
	}
	r := newReport(e.Result, n.MaxRows, n.MaxBytes)
	attrs := []slog.Attr{slog.String("check", r.Check), slog.String("outcome", r.Outcome.String()), slog.Int64("total", r.Total)}
	add := func(show bool, a slog.Attr) {
		if show {
			attrs = append(attrs, a)
		}
	}
	add(r.AtLeast, slog.Bool("at_least", r.AtLeast))
	add(e.Check.Severity != SeverityNormal, slog.String("severity", r.Severity))
	add(r.Owner != "", slog.String("owner", r.Owner))
	add(r.Runbook != "", slog.String("runbook", r.Runbook))
	add(r.AtLeast && r.Reason != "", slog.String("reason", r.Reason)) // an unknown outcome has it in the message
	if r.Examined != nil {
		attrs = append(attrs, slog.Int64("examined", *r.Examined))
	}
	add(r.Healed > 0, slog.Int64("healed", r.Healed))
	add(r.Healed > 0, slog.String("healed_within", r.HealedWithin))
	attrs = append(attrs, slog.Int("attempts", r.Attempts))
	add(r.Errors > 0, slog.Int("errors", r.Errors))
	attrs = append(attrs, slog.String("duration", r.Duration))
	if r.Total > 0 {
		attrs = append(attrs, slog.Int64("left_out", r.LeftOut), slog.Any("rows", r.Rows))
	}
	log.LogAttrs(ctx, level(e.Result), r.Headline, attrs...)
	return "", nil
}

func level(r Result) slog.Level {
	switch {
	case r.Outcome == Consistent:
		return slog.LevelInfo
	case r.Check.Severity == SeverityMinor:
		return slog.LevelWarn
	}
	return slog.LevelError
}
