package redismigrate

import "sync/atomic"

// splitCounters count what a split's process has done.
type splitCounters struct {
	others, direct, scripted, watched, departed, refused, ambiguous, rejected atomic.Int64
	moved                                                                     [2]atomic.Int64
}

// SplitStats are counters since the process began, and what it goes by now: for a Prometheus collector, or a log line.
type SplitStats struct {
	State     SplitState
	Others    int64 // commands on keys that are not the split's, sent to the old store
	Direct    int64 // commands sent as they are, in the states old, new and sealed
	Scripted  int64 // tries of commands inside a script, in home and away
	Watched   int64 // tries of commands and transactions with watched records, in home and away
	Departed  int64 // hand-overs that were begun or helped along
	ToNew     int64 // hand-overs to the new store that this process finished
	ToOld     int64 // and to the old one
	Refused   int64 // commands that were not sent: see SplitRefusedError and ErrSplitState
	Ambiguous int64 // commands whose answer came too late to be relied on
	Rejected  int64 // hand-overs that a store would not take; the keys stayed where they were
}

// Stats returns the counters.
func (s *Split) Stats() SplitStats {
	c := &s.count
	return SplitStats{
		State: s.State(), Others: c.others.Load(), Direct: c.direct.Load(), Scripted: c.scripted.Load(), Watched: c.watched.Load(), Departed: c.departed.Load(),
		ToNew: c.moved[newSide].Load(), ToOld: c.moved[oldSide].Load(), Refused: c.refused.Load(), Ambiguous: c.ambiguous.Load(), Rejected: c.rejected.Load(),
	}
}
