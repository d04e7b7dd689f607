package webhook

import (
	"time"

	"github.com/tashikame-go/tashikame/consistency"
)

// digest is a consistency.Digest as it is posted.
type digest struct {
	At           time.Time  `json:"at"`
	Consistent   int        `json:"consistent"`
	Inconsistent int        `json:"inconsistent"`
	Unknown      int        `json:"unknown"`
	Checks       []standing `json:"checks"`
}

type standing struct {
	Check      string              `json:"check"`
	Outcome    consistency.Outcome `json:"outcome"`
	Total      int64               `json:"total"`
	AtLeast    bool                `json:"at_least,omitempty"`
	Severity   string              `json:"severity"`
	Owner      string              `json:"owner,omitempty"`
	Reason     string              `json:"reason,omitempty"`
	Since      time.Time           `json:"since,omitzero"`
	LastRun    time.Time           `json:"last_run,omitzero"`
	Oldest     time.Time           `json:"oldest,omitzero"`
	CleanSince time.Time           `json:"clean_since,omitzero"`
	Muted      int                 `json:"muted,omitempty"`
	AckedBy    string              `json:"acked_by,omitempty"`
}

func newDigest(d consistency.Digest) digest {
	out := digest{
		At: d.At, Consistent: d.Count(consistency.Consistent), Inconsistent: d.Count(consistency.Inconsistent), Unknown: d.Count(consistency.Unknown),
		Checks: make([]standing, len(d.Checks)),
	}
	for i, s := range d.Checks {
		out.Checks[i] = standing{
			Check: s.Check.Name, Outcome: s.Outcome, Total: s.Total, AtLeast: s.AtLeast, Severity: s.Check.Severity.String(), Owner: s.Check.Owner, Reason: s.Reason,
			Since: s.Since, LastRun: s.LastRun, Oldest: s.Oldest, CleanSince: s.CleanSince, Muted: s.Muted, AckedBy: s.AckedBy,
		}
	}
	return out
}
