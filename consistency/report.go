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

// reportedRow is how a row is written: its key, where it stands, then its columns in their order.
type reportedRow struct {
	Key   string `json:"key"`
	Phase string `json:"phase,omitempty"`
	Age   string `json:"age,omitempty"`
	Muted string `json:"muted_by,omitempty"`
	Row   Row    `json:"row"`
}

// report is an event as the notifiers of this package write it, the count first.
type report struct {
	Headline     string          `json:"headline"`
	Event        EventKind       `json:"event"`
	Outcome      Outcome         `json:"outcome"`
	Total        int64           `json:"total"`
	AtLeast      bool            `json:"at_least,omitempty"`
	New          int             `json:"new,omitempty"`
	Reappeared   int             `json:"reappeared,omitempty"`
	Resolved     int             `json:"resolved,omitempty"`
	Oldest       *time.Time      `json:"oldest,omitempty"`
	CleanSince   *time.Time      `json:"clean_since,omitempty"`
	Incident     string          `json:"incident,omitempty"`
	Muted        int             `json:"muted,omitempty"`
	AckedBy      string          `json:"acked_by,omitempty"`
	Added        []string        `json:"columns_added,omitempty"`
	Removed      []string        `json:"columns_removed,omitempty"`
	Check        string          `json:"check"`
	Severity     string          `json:"severity"`
	Owner        string          `json:"owner,omitempty"`
	Runbook      string          `json:"runbook,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	Examined     *int64          `json:"examined"` // null: unknown
	Suspects     int64           `json:"suspects"`
	Changing     int64           `json:"changing,omitempty"`
	Healed       int64           `json:"healed"`
	HealedWithin string          `json:"healed_within,omitempty"`
	Attempts     int             `json:"attempts"`
	Errors       int             `json:"errors"`
	Started      time.Time       `json:"started"`
	Duration     string          `json:"duration"`
	Notes        []string        `json:"notes,omitempty"`
	LeftOut      int64           `json:"left_out"` // rows that are wrong and that Rows does not show
	Rows         json.RawMessage `json:"rows"`
}

func newReport(e Event, maxRows, maxBytes int) report {
	r := e.Result
	out := report{
		Headline: e.Headline(), Event: e.Kind, Outcome: r.Outcome, Total: e.Wrong(), AtLeast: r.AtLeast, Check: r.Check.Name, Severity: r.Check.Severity.String(),
		New: e.New, Reappeared: e.Reappeared, Resolved: e.Resolved, Incident: e.Incident.ID, Muted: e.Muted, Added: e.ColumnsAdded, Removed: e.ColumnsRemoved,
		Owner: r.Check.Owner, Runbook: r.Check.Runbook, Reason: r.Reason, Suspects: r.Suspects, Changing: r.Changing, Healed: r.Healed.Rows,
		Attempts: r.Attempts, Errors: r.Errors, Notes: r.Notes, Started: r.Started, Duration: r.Duration.Round(time.Millisecond).String(),
	}
	at := r.Started.Add(r.Duration)
	if at.Before(e.Incident.AckedUntil) {
		out.AckedBy = e.Incident.AckedBy
	}
	if !e.Oldest.IsZero() {
		out.Oldest = &e.Oldest
	}
	if !e.CleanSince.IsZero() {
		out.CleanSince = &e.CleanSince
	}
	if r.Examined >= 0 {
		out.Examined = &r.Examined
	}
	if r.Healed.Rows > 0 {
		out.HealedWithin = r.Healed.Longest.Round(time.Millisecond).String()
	}
	var shown int
	out.Rows, shown = cutRows(e.reported(at), maxRows, maxBytes)
	out.LeftOut = out.Total - int64(shown)
	return out
}

// reported are the rows that are wrong, those first that are news: reappeared, new, then the others, the oldest first.
func (e Event) reported(at time.Time) []reportedRow {
	var rows []reportedRow
	if len(e.Rows) == 0 { // an event that was made by hand out of a result
		for _, v := range e.Violations {
			rows = append(rows, reportedRow{Key: v.Key, Row: v.Row})
		}
		return rows
	}
	for _, phase := range []RowPhase{RowReappeared, RowNew, RowContinuing} {
		for _, row := range e.Rows {
			if row.Phase == phase {
				rows = append(rows, reportedRow{Key: row.Key, Phase: phase.String(), Age: ageText(at.Sub(row.FirstSeen)), Muted: row.MutedBy, Row: row.Row})
			}
		}
	}
	return rows
}

// cutRows writes the rows as a JSON array within the limits and returns how many of them it holds. Rows are left out whole, so that what
// is shown is always true and valid JSON.
func cutRows(all []reportedRow, maxRows, maxBytes int) (rows json.RawMessage, shown int) {
	if maxRows == 0 {
		maxRows = DefaultReportRows
	}
	if maxBytes == 0 {
		maxBytes = DefaultReportBytes
	}
	rows = json.RawMessage{'['}
	for _, r := range all {
		if shown >= maxRows {
			break
		}
		one, err := json.Marshal(r)
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
