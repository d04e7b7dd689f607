package redismigrate

import "sync/atomic"

// splitCounters count what a split's process has done.
type splitCounters struct {
	others, direct, scripted, watched, departed, refused, ambiguous, rejected atomic.Int64
	moved                                                                     [2]atomic.Int64
}

// SplitStats are counters since the process began, and what it goes by now: for a Prometheus collector, or a log line.
type SplitStats struct {
	State     SplitState `json:"state"`
	Others    int64      `json:"others"`    // commands on keys that are not the split's, sent to the old store
	Direct    int64      `json:"direct"`    // commands sent as they are, in the states old, new and sealed
	Scripted  int64      `json:"scripted"`  // tries of commands inside a script, in home and away
	Watched   int64      `json:"watched"`   // tries of commands and transactions with watched records, in home and away
	Departed  int64      `json:"departed"`  // hand-overs that were begun or helped along
	ToNew     int64      `json:"to_new"`    // hand-overs to the new store that this process finished
	ToOld     int64      `json:"to_old"`    // and to the old one
	Refused   int64      `json:"refused"`   // commands that were not sent: see SplitRefusedError and ErrSplitState
	Ambiguous int64      `json:"ambiguous"` // commands whose answer came too late to be relied on
	Rejected  int64      `json:"rejected"`  // hand-overs that a store would not take; the keys stayed where they were
}

// Stats returns the counters.
func (s *Split) Stats() SplitStats {
	c := &s.count
	return SplitStats{
		State: s.State(), Others: c.others.Load(), Direct: c.direct.Load(), Scripted: c.scripted.Load(), Watched: c.watched.Load(), Departed: c.departed.Load(),
		ToNew: c.moved[newSide].Load(), ToOld: c.moved[oldSide].Load(), Refused: c.refused.Load(), Ambiguous: c.ambiguous.Load(), Rejected: c.rejected.Load(),
	}
}
