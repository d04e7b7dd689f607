package statuspage

import (
	"time"

	"github.com/tashikame-go/tashikame/consistency"
)

// listJSON is the page of all checks for programs.
type listJSON struct {
	AsOf    time.Time           `json:"as_of"`
	Outcome consistency.Outcome `json:"outcome"`
	Counts  map[string]int      `json:"counts"`
	Checks  []checkJSON         `json:"checks"`
}

// checkJSON is one check. Times that are not known are left out.
type checkJSON struct {
	Check         string              `json:"check"`
	Outcome       consistency.Outcome `json:"outcome"`
	Reason        string              `json:"reason,omitempty"`
	Owner         string              `json:"owner,omitempty"`
	Severity      string              `json:"severity"`
	Runbook       string              `json:"runbook,omitempty"`
	Total         *int64              `json:"total"`                      // null: not known now
	LastKnown     *int64              `json:"last_known_total,omitempty"` // of an unknown outcome: what the latest run that could tell counted
	AtLeast       bool                `json:"at_least,omitempty"`
	Muted         int                 `json:"muted,omitempty"`
	Oldest        time.Time           `json:"oldest,omitzero"`
	Since         time.Time           `json:"since,omitzero"`
	CleanSince    time.Time           `json:"clean_since,omitzero"`
	LastRun       time.Time           `json:"last_run,omitzero"`
	InFlight      int                 `json:"in_flight,omitempty"`
	InFlightSince time.Time           `json:"in_flight_since,omitzero"`
	Incident      *incidentJSON       `json:"incident,omitempty"`
	Notes         []string            `json:"notes,omitempty"`
}

type incidentJSON struct {
	Opened     time.Time `json:"opened"`
	Peak       int64     `json:"peak"`
	AckedBy    string    `json:"acked_by,omitempty"`
	AckedUntil time.Time `json:"acked_until,omitzero"`
}

// detailJSON is the page of one check for programs.
type detailJSON struct {
	AsOf time.Time `json:"as_of"`
	checkJSON
	Rows     []rowJSON   `json:"rows"`
	Resolved []rowJSON   `json:"resolved"`
	History  []pointJSON `json:"history"`
}

type rowJSON struct {
	Key         string               `json:"key"`
	Phase       consistency.RowPhase `json:"phase"`
	FirstSeen   time.Time            `json:"first_seen,omitzero"`
	LastSeen    time.Time            `json:"last_seen,omitzero"`
	ResolvedAt  time.Time            `json:"resolved_at,omitzero"`
	Appearances int                  `json:"appearances"`
	MutedBy     string               `json:"muted_by,omitempty"`
	Row         consistency.Row      `json:"row"`
}

type pointJSON struct {
	At         time.Time           `json:"at"`
	Outcome    consistency.Outcome `json:"outcome"`
	Total      int64               `json:"total"`
	AtLeast    bool                `json:"at_least,omitempty"`
	New        int                 `json:"new"`
	Resolved   int                 `json:"resolved"`
	Reappeared int                 `json:"reappeared"`
	Healed     int64               `json:"healed"`
	Seconds    float64             `json:"duration_seconds"`
}

func jsonList(l listPage, now time.Time) listJSON {
	out := listJSON{AsOf: now, Outcome: l.outcome, Counts: map[string]int{}, Checks: []checkJSON{}}
	for _, o := range []consistency.Outcome{consistency.Inconsistent, consistency.Unknown, consistency.Consistent} {
		out.Counts[o.String()] = l.counts[o]
	}
	for _, v := range l.views {
		out.Checks = append(out.Checks, jsonCheck(v))
	}
	return out
}

func jsonCheck(v view) checkJSON {
	s := v.state
	c := checkJSON{
		Check: v.meta.Name, Outcome: v.outcome, Reason: v.reason, Owner: v.meta.Owner, Severity: v.meta.Severity.String(), Runbook: v.meta.Runbook,
		AtLeast: s.AtLeast, Muted: v.muted, Oldest: s.Oldest(), Since: s.Since, LastRun: s.LastRun,
		InFlight: v.running, InFlightSince: v.since, Notes: s.Notes,
	}
	if v.outcome == consistency.Consistent { // somebody may switch off an old system on the strength of it
		c.CleanSince = s.CleanSince
	}
	switch {
	case v.outcome != consistency.Unknown:
		c.Total = &s.Total
	case v.counted():
		c.LastKnown = &s.Total
	}
	if i := s.Incident; i != nil {
		c.Incident = &incidentJSON{Opened: i.Opened, Peak: i.Peak, AckedBy: i.AckedBy, AckedUntil: i.AckedUntil}
	}
	return c
}

func jsonDetail(v view, now time.Time) detailJSON {
	out := detailJSON{AsOf: now, checkJSON: jsonCheck(v), Rows: jsonRows(v.state.Rows), Resolved: jsonRows(v.state.Gone), History: []pointJSON{}}
	for _, p := range v.state.History {
		out.History = append(out.History, pointJSON{p.At, p.Outcome, p.Total, p.AtLeast, p.New, p.Resolved, p.Reappeared, p.Healed, p.Duration.Seconds()})
	}
	return out
}

func jsonRows(rows []consistency.TrackedRow) []rowJSON {
	out := make([]rowJSON, len(rows))
	for i, r := range rows {
		out[i] = rowJSON{r.Key, r.Phase, r.FirstSeen, r.LastSeen, r.ResolvedAt, r.Appearances, r.MutedBy, r.Row}
	}
	return out
}
