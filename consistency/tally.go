package consistency

import "time"

// look is what one look at the data showed. Only looks that succeeded become one.
type look struct {
	found []Violation
	total int64
	// asked is true for a recheck: the look answers for every suspect and says nothing about other keys.
	asked bool
	// start and end bound the moment at which the data was as found.
	start, end time.Time
}

// complete reports whether a key that is not in found was not wrong.
func (l look) complete() bool { return !l.asked && l.total <= int64(len(l.found)) }

// suspect is a key that may yet turn out to be wrong in every look.
type suspect struct {
	violation Violation // as last seen
	since     time.Time // start of the first look that showed it
	doubt     bool      // a look was cut by its cap and did not show the key, which says nothing
	changing  bool      // the looks showed it with different content
}

// tally keeps, over the looks of one run, which keys were in every one of them. It is pure: no clock, no waiting, no I/O.
type tally struct {
	looks    int
	suspects []*suspect // in the order of the first look
	// open is true as long as every look was cut by its cap: then rows beyond the cap may have been wrong in all of them.
	open   bool
	healed Healed
	// right are the keys that healed.
	right map[string]bool
}

func (t *tally) add(l look) {
	t.looks++
	found := make(map[string]Violation, len(l.found))
	for _, v := range l.found {
		found[v.Key] = v
	}
	if t.looks == 1 {
		t.open = !l.complete()
		for _, v := range l.found {
			t.suspects = append(t.suspects, &suspect{violation: v, since: l.start})
		}
		return
	}
	kept := t.suspects[:0]
	for _, s := range t.suspects {
		v, still := found[s.violation.Key]
		delete(found, s.violation.Key)
		switch {
		case still:
			s.changing = s.changing || v.Content != s.violation.Content
			s.violation = v
		case l.asked || l.complete():
			if t.right == nil {
				t.right = map[string]bool{}
			}
			t.right[s.violation.Key] = true
			t.healed.Rows++
			t.healed.Longest = max(t.healed.Longest, l.end.Sub(s.since))
			continue
		default:
			s.doubt = true
		}
		kept = append(kept, s)
	}
	t.suspects = kept
	if t.open && l.complete() {
		// What is new here may have been beyond the cap before.
		for _, v := range l.found {
			if _, isNew := found[v.Key]; isNew {
				t.suspects = append(t.suspects, &suspect{violation: v, since: l.start, doubt: true})
			}
		}
		t.open = false
	}
}

// settled reports whether a further look cannot change the verdict: there is nothing left to confirm.
func (t *tally) settled() bool { return t.looks > 0 && len(t.suspects) == 0 }

func (t *tally) list() []Violation {
	out := make([]Violation, len(t.suspects))
	for i, s := range t.suspects {
		out[i] = s.violation
	}
	return out
}

// verdict is the outcome after all looks were made.
type verdict struct {
	outcome   Outcome
	convicted []Violation
	atLeast   bool // there may be more than the convicted
	undecided int  // suspects about which the looks do not agree
	changing  int  // suspects that were wrong in every look, with other content each time
}

func (t *tally) verdict() verdict {
	var v verdict
	for _, s := range t.suspects {
		if s.doubt {
			v.undecided++
			continue
		}
		if s.changing {
			v.changing++
			continue
		}
		v.convicted = append(v.convicted, s.violation)
	}
	unseen := t.open || v.undecided > 0
	switch {
	case t.looks == 0:
		v.outcome = Unknown
	case len(v.convicted) > 0:
		v.outcome, v.atLeast = Inconsistent, unseen
	case unseen, v.changing > 0:
		v.outcome = Unknown
	default:
		v.outcome = Consistent
	}
	return v
}
