package consistency

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// JSONNotifier writes one JSON object and a line feed for each event, in one Write. The fields, in this order: headline, event (its kind), outcome, total (rows that are wrong as far
// as is known), at_least, new, reappeared, resolved, oldest, clean_since, incident, muted, acked_by, columns_added, columns_removed, check, severity, owner, runbook, reason, examined
// (null: unknown), suspects, changing, healed, healed_within, attempts, errors, started, duration, left_out, rows. What does not apply is left out. Each of rows has the key, the phase,
// the age, muted_by, and the row with its columns in their order; left_out is the number of wrong rows not among them.
type JSONNotifier struct {
	// Writer takes the lines. Required. It is called by one goroutine at a time for each Runner.Run.
	Writer io.Writer
	// MaxRows and MaxBytes limit the rows of a line. Zero: DefaultReportRows and DefaultReportBytes.
	MaxRows, MaxBytes int
}

// Notify writes the event. It fails when Writer does.
func (n JSONNotifier) Notify(_ context.Context, e Event) (Receipt, error) {
	if n.Writer == nil {
		return "", errors.New("JSONNotifier.Writer is nil: set it to where the lines go, for example os.Stdout")
	}
	line, err := EventJSON(e, n.MaxRows, n.MaxBytes)
	if err != nil {
		return "", err
	}
	if _, err := n.Writer.Write(append(line, '\n')); err != nil {
		return "", fmt.Errorf("write the result of %s: %w", e.Check.Name, err)
	}
	return "", nil
}
