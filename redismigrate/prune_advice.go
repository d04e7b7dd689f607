package redismigrate

import (
	"fmt"
	"time"
)

// The rates by which Advice compares, in keys a second, where nothing better was measured: Redis 8.0 on the loopback interface with two
// cores, small values (hashes of 250 bytes with an expiry, strings of 200 bytes).
const (
	scanRate   = 660_000 // SCAN COUNT 5000 over a raw socket
	unlinkRate = 552_000 // UNLINK, 1,000 keys a command
	copyRate   = 100_000 // DUMP, PEXPIRETIME and RESTORE
)

// Advice compares a prune with a copy of the kept keys into an empty store, by their counts.
type Advice struct {
	// CopyIsFaster is true when so little is kept that copying it takes less time than deleting the rest. The time that the restore of
	// the snapshot has taken is not counted: it is over.
	CopyIsFaster bool `json:"copy_is_faster"`
	// Prune and Copy are the times by which they were compared.
	Prune time.Duration `json:"prune_ns"`
	Copy  time.Duration `json:"copy_ns"`
	// Basis says from which rates.
	Basis string `json:"basis"`
}

// Advice says whether a copy would have been the better way. It is computed from the plan's counts, the rate at which the plan's own scan
// went on this target, and rates of deleting and copying that were measured elsewhere (Basis names them); Rehearse measures yours.
func (p *PrunePlan) Advice() Advice { return advise(p.Total(), p.scanRate) }

// advise counts two scans for a prune, the second over what is left; and for a copy one of everything. scanned is 0 where no scan was timed.
func advise(c DBCount, scanned float64) Advice {
	scan, whence := scanned, "as scanned here"
	if c.Keep+c.Delete < 100_000 || scan <= 0 { // too short a scan to be a measurement
		scan, whence = scanRate, "scanning"
	}
	keep, drop := float64(c.Keep), float64(c.Delete)
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	a := Advice{
		Prune: seconds((keep+drop)/scan + drop/unlinkRate + keep/scan),
		Copy:  seconds((keep+drop)/scan + keep/copyRate),
		Basis: fmt.Sprintf("%.0f keys/s %s, %d keys/s deleting, %d keys/s copying (small values, Redis 8.0, loopback)", scan, whence, unlinkRate, copyRate),
	}
	a.CopyIsFaster = a.Copy < a.Prune
	return a
}

// String is one line for a person.
func (a Advice) String() string {
	round := func(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
	if a.CopyIsFaster {
		return fmt.Sprintf("little is kept: copying it to an empty store would take about %s, this prune about %s (%s)", round(a.Copy), round(a.Prune), a.Basis)
	}
	return fmt.Sprintf("this prune takes about %s, a copy would about %s (%s)", round(a.Prune), round(a.Copy), a.Basis)
}
