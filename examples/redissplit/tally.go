package main

import "time"

// tally counts what a process of the service has done. It is printed as a line of JSON.
type tally struct {
	Commands    int64         `json:"commands"`
	Took        time.Duration `json:"took_ns"` // all of them together
	Errors      int64         `json:"errors"`
	Uncertain   int64         `json:"uncertain"` // errors that leave open whether the command was carried out
	Compared    int64         `json:"compared"`  // answers that were compared with the record
	Lost        int64         `json:"lost"`
	Stale       int64         `json:"stale"`
	Resurrected int64         `json:"resurrected"`
	Repeated    int64         `json:"repeated"`
	ToNew       int64         `json:"to_new"` // keys that commands have brought along
	ToOld       int64         `json:"to_old"`
}

// fields are all counters.
func (t *tally) fields() []*int64 {
	return []*int64{
		&t.Commands, (*int64)(&t.Took), &t.Errors, &t.Uncertain, &t.Compared, &t.Lost, &t.Stale, &t.Resurrected, &t.Repeated, &t.ToNew, &t.ToOld,
	}
}

func (t tally) plus(u tally) tally {
	for i, n := range u.fields() {
		*t.fields()[i] += *n
	}
	return t
}

func (t tally) minus(u tally) tally {
	for i, n := range u.fields() {
		*t.fields()[i] -= *n
	}
	return t
}

// wrong is how many answers were not as the record says.
func (t tally) wrong() int64 { return t.Lost + t.Stale + t.Resurrected + t.Repeated }

// found counts a finding.
func (t *tally) found(f finding) {
	t.Compared++
	switch f {
	case lost:
		t.Lost++
	case stale:
		t.Stale++
	case resurrected:
		t.Resurrected++
	case repeated:
		t.Repeated++
	case right:
	}
}
