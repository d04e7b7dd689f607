package redismigrate

import (
	"slices"
	"sync"
	"time"
)

// Forecast is how long something will take, with the range that the measured speeds span.
type Forecast struct {
	Low    time.Duration `json:"low_ns"`
	Likely time.Duration `json:"likely_ns"`
	High   time.Duration `json:"high_ns"`
}

func (f Forecast) plus(o Forecast) Forecast {
	return Forecast{f.Low + o.Low, f.Likely + o.Likely, f.High + o.High}
}

// slices that a step is cut into to see how its speed varies.
const speedSlices = 20

// speedometer records how far a step had come at which time.
type speedometer struct {
	mu    sync.Mutex
	start time.Time
	marks []speedMark
}

type speedMark struct {
	at   time.Duration
	done int64
}

func newSpeedometer() *speedometer { return &speedometer{start: time.Now()} }

// note records a progress; it may be called from several goroutines. Beyond a few thousand marks every second one is dropped, so that
// memory stays bounded.
func (s *speedometer) note(done int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks = append(s.marks, speedMark{time.Since(s.start), done})
	if len(s.marks) == 4096 {
		for i := range 2048 {
			s.marks[i] = s.marks[2*i+1]
		}
		s.marks = s.marks[:2048]
	}
}

// speeds are the speeds, in units per second, of equal parts of the time, ascending; nil when there were too few marks to tell.
func speeds(marks []speedMark) []float64 {
	if len(marks) < 2*speedSlices {
		return nil
	}
	last := marks[len(marks)-1]
	var out []float64
	at := speedMark{}
	for i := 1; i <= speedSlices; i++ {
		until := last.at * time.Duration(i) / speedSlices
		n, _ := slices.BinarySearchFunc(marks, until, func(m speedMark, d time.Duration) int { return int(m.at - d) })
		m := marks[min(n, len(marks)-1)]
		if m.at > at.at && m.done >= at.done {
			out = append(out, float64(m.done-at.done)/(m.at-at.at).Seconds())
		}
		at = m
	}
	slices.Sort(out)
	return out
}

// forecast scales what was measured to the full work: by keys and by bytes, whichever is more being the high end. Where the speed varied
// while it was measured, its slow and its fast tenth widen the range.
func forecast(elapsed time.Duration, measured, full Work, speeds []float64) Forecast {
	byKeys, byBytes := ratio(full.Keys.Value, measured.Keys.Value), ratio(full.Bytes.Value, measured.Bytes.Value)
	low, high := min(byKeys, byBytes), max(byKeys, byBytes)
	f := Forecast{times(elapsed, low), times(elapsed, (low+high)/2), times(elapsed, high)}
	f.High = times(f.High, max(1, ratio(full.Keys.High, full.Keys.Value), ratio(full.Bytes.High, full.Bytes.Value)))
	f.Low = times(f.Low, min(1, ratio(full.Keys.Low, full.Keys.Value), ratio(full.Bytes.Low, full.Bytes.Value)))
	if len(speeds) > 0 {
		mean := 0.0
		for _, s := range speeds {
			mean += s / float64(len(speeds))
		}
		slow, fast := speeds[len(speeds)/10], speeds[len(speeds)-1-len(speeds)/10]
		if slow > 0 {
			f.High = times(f.High, max(1, mean/slow))
		}
		if fast > 0 {
			f.Low = times(f.Low, min(1, mean/fast))
		}
	}
	return f
}

// ratio is 1 where there is nothing to compare.
func ratio(full, measured int64) float64 {
	if measured <= 0 || full <= 0 {
		return 1
	}
	return float64(full) / float64(measured)
}

func times(d time.Duration, f float64) time.Duration { return time.Duration(float64(d) * f) }
