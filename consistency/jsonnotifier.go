package consistency

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// JSONNotifier writes one JSON object and a line feed for each result, in one Write. The fields, in this order: headline, outcome, total, at_least,
// check, severity, owner, runbook, reason, examined (null: unknown), suspects, healed, healed_within, attempts, errors, started, duration, left_out,
// rows. Each of rows has the key and the row with its columns in their order; left_out is the number of convicted rows not among them.
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
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(newReport(e.Result, n.MaxRows, n.MaxBytes)); err != nil {
		return "", fmt.Errorf("write the result of %s as JSON: %w", e.Check.Name, err)
	}
	if _, err := n.Writer.Write(line.Bytes()); err != nil {
		return "", fmt.Errorf("write the result of %s: %w", e.Check.Name, err)
	}
	return "", nil
}
