package consistency

import (
	"encoding/json"
	"time"
)

// Limits on the rows of one notification, for the notifiers of this package when their own fields are zero.
const (
	// DefaultReportRows is the number of rows that are shown.
	DefaultReportRows = 20
	// DefaultReportBytes is the size of their JSON together.
	DefaultReportBytes = 16 << 10
)

// reportedRow is how a violation is written: its key, then its columns in their order.
type reportedRow struct {
	Key string `json:"key"`
	Row Row    `json:"row"`
}

// report is an event as the notifiers of this package write it, the count first.
type report struct {
	Headline     string          `json:"headline"`
	Outcome      Outcome         `json:"outcome"`
	Total        int64           `json:"total"`
	AtLeast      bool            `json:"at_least,omitempty"`
	Check        string          `json:"check"`
	Severity     string          `json:"severity"`
	Owner        string          `json:"owner,omitempty"`
	Runbook      string          `json:"runbook,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	Examined     *int64          `json:"examined"` // null: unknown
	Suspects     int64           `json:"suspects"`
	Healed       int64           `json:"healed"`
	HealedWithin string          `json:"healed_within,omitempty"`
	Attempts     int             `json:"attempts"`
	Errors       int             `json:"errors"`
	Started      time.Time       `json:"started"`
	Duration     string          `json:"duration"`
	LeftOut      int64           `json:"left_out"` // convicted rows that Rows does not show
	Rows         json.RawMessage `json:"rows"`
}

func newReport(r Result, maxRows, maxBytes int) report {
	out := report{
		Headline: r.Headline(), Outcome: r.Outcome, Total: r.Total, AtLeast: r.AtLeast, Check: r.Check.Name, Severity: r.Check.Severity.String(),
		Owner: r.Check.Owner, Runbook: r.Check.Runbook, Reason: r.Reason, Suspects: r.Suspects, Healed: r.Healed.Rows,
		Attempts: r.Attempts, Errors: r.Errors, Started: r.Started, Duration: r.Duration.Round(time.Millisecond).String(),
	}
	if r.Examined >= 0 {
		out.Examined = &r.Examined
	}
	if r.Healed.Rows > 0 {
		out.HealedWithin = r.Healed.Longest.Round(time.Millisecond).String()
	}
	var shown int
	out.Rows, shown = cutRows(r.Violations, maxRows, maxBytes)
	out.LeftOut = max(r.Total, int64(len(r.Violations))) - int64(shown)
	return out
}

// cutRows writes the violations as a JSON array within the limits and returns how many of them it holds. Rows are left out whole, so that what
// is shown is always true and valid JSON.
func cutRows(vs []Violation, maxRows, maxBytes int) (rows json.RawMessage, shown int) {
	if maxRows == 0 {
		maxRows = DefaultReportRows
	}
	if maxBytes == 0 {
		maxBytes = DefaultReportBytes
	}
	rows = json.RawMessage{'['}
	for _, v := range vs {
		if shown >= maxRows {
			break
		}
		one, err := json.Marshal(reportedRow(v))
		if err != nil || len(rows)+len(one)+2 > maxBytes {
			break
		}
		if shown > 0 {
			rows = append(rows, ',')
		}
		rows = append(rows, one...)
		shown++
	}
	return append(rows, ']'), shown
}
