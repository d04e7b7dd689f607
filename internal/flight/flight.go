// Package flight keeps which runs of which check have begun and not ended, for those that show it.
package flight

import (
	"slices"
	"sync"
	"time"
)

// Flights are the runs in flight by the name of their check. The zero value has none; its methods may be called concurrently.
type Flights struct {
	mu     sync.Mutex
	begins map[string][]time.Time
}

// Begin notes that a run of the check began.
func (f *Flights) Begin(check string, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begins == nil {
		f.begins = map[string][]time.Time{}
	}
	f.begins[check] = append(f.begins[check], at)
}

// End notes that the run which began at about that time ended. A run that hangs stays, whichever others end.
func (f *Flights) End(check string, began time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	begins := f.begins[check]
	if len(begins) == 0 {
		return
	}
	best := 0
	for i, at := range begins {
		if at.Sub(began).Abs() < begins[best].Sub(began).Abs() {
			best = i
		}
	}
	f.begins[check] = slices.Delete(begins, best, best+1)
}

// Of returns how many runs of the check are in flight, and when the longest of them began.
func (f *Flights) Of(check string) (n int, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	begins := f.begins[check]
	if len(begins) == 0 {
		return 0, time.Time{}
	}
	return len(begins), slices.MinFunc(begins, time.Time.Compare)
}
