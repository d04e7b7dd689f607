package consistency

import (
	"context"
	"log/slog"
)

// SlogNotifier logs one record for each event: the headline, count first, as the message, and the rest as attributes. Inconsistent and
// Unknown are logged at error level (warning for SeverityMinor), Consistent at info level; the kind of the event says whether it is news.
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
	r := newReport(e, n.MaxRows, n.MaxBytes)
	attrs := []slog.Attr{slog.String("check", r.Check), slog.String("event", r.Event.String()), slog.String("outcome", r.Outcome.String()), slog.Int64("total", r.Total)}
	add := func(show bool, a slog.Attr) {
		if show {
			attrs = append(attrs, a)
		}
	}
	add(r.AtLeast, slog.Bool("at_least", r.AtLeast))
	add(e.Check.Severity != SeverityNormal, slog.String("severity", r.Severity))
	add(r.Owner != "", slog.String("owner", r.Owner))
	add(r.Runbook != "", slog.String("runbook", r.Runbook))
	add(r.Outcome != Unknown && r.Reason != "", slog.String("reason", r.Reason)) // an unknown outcome has it in the message
	add(r.New > 0, slog.Int("new", r.New))
	add(r.Reappeared > 0, slog.Int("reappeared", r.Reappeared))
	add(r.Resolved > 0, slog.Int("resolved", r.Resolved))
	if r.Oldest != nil {
		attrs = append(attrs, slog.Time("oldest", *r.Oldest))
	}
	if r.CleanSince != nil {
		attrs = append(attrs, slog.Time("clean_since", *r.CleanSince))
	}
	add(r.Incident != "", slog.String("incident", r.Incident))
	add(r.Muted > 0, slog.Int("muted", r.Muted))
	add(r.AckedBy != "", slog.String("acked_by", r.AckedBy))
	add(len(r.Added) > 0, slog.Any("columns_added", r.Added))
	add(len(r.Removed) > 0, slog.Any("columns_removed", r.Removed))
	add(r.Changing > 0, slog.Int64("changing", r.Changing))
	if r.Examined != nil {
		attrs = append(attrs, slog.Int64("examined", *r.Examined))
	}
	add(r.Healed > 0, slog.Int64("healed", r.Healed))
	add(r.Healed > 0, slog.String("healed_within", r.HealedWithin))
	attrs = append(attrs, slog.Int("attempts", r.Attempts))
	add(r.Errors > 0, slog.Int("errors", r.Errors))
	attrs = append(attrs, slog.String("duration", r.Duration))
	add(len(r.Notes) > 0, slog.Any("notes", r.Notes))
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
