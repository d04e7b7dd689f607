package statuspage

import (
	"fmt"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
)

// chart is the number of inconsistent rows over the latest runs, one bar each, and the same in words.
type chart struct {
	Width, Height int
	Bars          []bar
	Text          string
}

// bar is one run. Its class says how it is drawn.
type bar struct {
	X, Y, W, H int
	Class      string
	Title      string
}

const (
	barWidth    = 3
	barGap      = 1
	chartHeight = 28
)

// newChart draws the latest runs, max of them at most. A run that could not tell is a bar of full height in another colour, never a gap that looks like nothing wrong.
func newChart(history []consistency.Point, runs int, format func(time.Time) string) *chart {
	if len(history) > runs {
		history = history[len(history)-runs:]
	}
	if len(history) == 0 {
		return nil
	}
	peak, unknown, told := int64(0), 0, 0
	first, last := int64(0), int64(0)
	for _, p := range history {
		if p.Outcome != consistency.Consistent && p.Outcome != consistency.Inconsistent {
			unknown++
			continue
		}
		if told == 0 {
			first = p.Total
		}
		told++
		last, peak = p.Total, max(peak, p.Total)
	}
	c := &chart{Width: len(history)*(barWidth+barGap) - barGap, Height: chartHeight}
	for i, p := range history {
		b := bar{X: i * (barWidth + barGap), W: barWidth, H: 2, Class: "good", Title: format(p.At) + ": " + counted(p)}
		switch p.Outcome {
		case consistency.Consistent:
		case consistency.Inconsistent:
			b.Class = "bad"
			b.H = 4
			if peak > 0 {
				b.H += int(float64(chartHeight-4) * float64(p.Total) / float64(peak))
			}
		default: // Unknown, and what nobody has heard of
			b.Class, b.H = "unknown", chartHeight
		}
		b.Y = chartHeight - b.H
		c.Bars = append(c.Bars, b)
	}
	c.Text = fmt.Sprintf("%s since %s", runsOf(len(history)), format(history[0].At))
	if told > 0 {
		c.Text += fmt.Sprintf(": inconsistent rows from %d to %d, at most %d", first, last, peak)
	}
	if unknown > 0 {
		c.Text += fmt.Sprintf("; %d could not tell", unknown)
	}
	return c
}

func counted(p consistency.Point) string {
	switch p.Outcome {
	case consistency.Consistent:
		return "0"
	case consistency.Inconsistent:
		if p.AtLeast {
			return fmt.Sprintf("%d+", p.Total)
		}
		return fmt.Sprint(p.Total)
	case consistency.Unknown:
	}
	return "could not tell"
}

func runsOf(n int) string {
	if n == 1 {
		return "1 run"
	}
	return fmt.Sprintf("%d runs", n)
}
