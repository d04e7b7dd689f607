package redismigrate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// ClientAbilities say what the application that will use the target can do with it. The zero value can do the least.
type ClientAbilities struct {
	// Cluster: its client speaks the cluster protocol (it follows MOVED and splits commands by slot).
	Cluster bool `json:"cluster"`
	// TLS: it can connect with TLS.
	TLS bool `json:"tls"`
	// DBs: it can use another db than 0.
	DBs bool `json:"dbs"`
	// GoRedis: it is a Go program whose client is go-redis, which can go over live (Split).
	GoRedis bool `json:"go_redis"`
}

// Plan says which ways there are from one store to the other, what each takes, and the steps of the one that was chosen. It is made from
// what was found and measured; nothing in it is a guess: how long the steps take is what Rehearse measures.
type Plan struct {
	Made time.Time `json:"made"`
	// From and To name the stores, Keys the selection.
	From string `json:"from"`
	To   string `json:"to"`
	Keys string `json:"keys"`
	// Options are all strategies: the possible first, those that could not be told next, and those that leave the least work in the
	// maintenance window first among equals.
	Options []Option `json:"options"`
	// Chosen is the first possible option's strategy; empty when there is none. Change it with Choose.
	Chosen Strategy `json:"chosen,omitempty"`
	// Steps are those of the chosen strategy.
	Steps []Step `json:"steps,omitempty"`
	// Warnings concern every strategy.
	Warnings []string `json:"warnings,omitempty"`

	input *planInput
}

// planInput is what a plan is made from.
type planInput struct {
	move           Move
	source, target *Server
	census         *Census
	selected       Amount
	app            ClientAbilities
}

// targetDBs are the dbs of the target that take keys, ascending.
func (in *planInput) targetDBs() []int {
	var dbs []int
	for _, g := range in.source.DBs {
		if g.Keys == 0 || !in.covers(g.DB) {
			continue
		}
		if db := in.move.targetDB(g.DB); !slices.Contains(dbs, db) {
			dbs = append(dbs, db)
		}
	}
	slices.Sort(dbs)
	return dbs
}

// covers reports whether a db of the source is part of the move.
func (in *planInput) covers(db int) bool {
	opts, err := in.move.From.options()
	return err == nil && (in.move.From.AllDBs || slices.Contains(in.move.From.listed(opts), db))
}

// MakePlan weighs every strategy for a move between two stores, from their cards (Inspect; the target's with InspectOptions.Target) and
// the census of the source (Measure with the move's selector), for an application whose client has these abilities. It connects to nothing.
//
// It refuses (ErrRefused) a target that is the source, a selection that is empty, and a census that was stopped midway. A plan without any
// possible strategy is no error: its Options say why.
func MakePlan(m Move, source, target *Server, census *Census, app ClientAbilities) (*Plan, error) {
	p, err := makePlan(m, source, target, census, app)
	if err != nil {
		return nil, fmt.Errorf("redismigrate: plan: %w", err)
	}
	return p, nil
}

func makePlan(m Move, source, target *Server, census *Census, app ClientAbilities) (*Plan, error) {
	sel, err := m.Keys.compile()
	if err != nil {
		return nil, err
	}
	if m.From == nil || m.To == nil {
		return nil, errors.New("the move needs both From and To")
	}
	for _, e := range []struct {
		side string
		*Endpoint
	}{{"source", m.From}, {"target", m.To}} {
		if err := e.Validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", e.side, err)
		}
	}
	switch {
	case source == nil || len(source.Nodes) == 0:
		return nil, errors.New("the source's card is missing; Inspect makes it")
	case target == nil || len(target.Nodes) == 0:
		return nil, errors.New("the target's card is missing; Inspect makes it")
	case census == nil:
		return nil, errors.New("the census is missing; Measure makes it")
	case !census.Complete && !census.Sampled:
		return nil, refuse("the census of %s was stopped midway; what can be measured must not be guessed: measure again", census.Addr)
	case census.Selected == nil:
		return nil, errors.New("the census does not say how much is selected; give Measure the selector (MeasureOptions.Keys)")
	case census.Selected.Keys.Value == 0:
		return nil, refuse("the selector %s selects none of the %d keys of %s; check the selector and the dbs", sel.text, census.Total.Keys.Value, census.Addr)
	}
	if err := checkCards(source, target); err != nil {
		return nil, err
	}
	in := &planInput{move: m, source: source, target: target, census: census, selected: *census.Selected, app: app}
	p := &Plan{Made: time.Now(), From: m.From.String(), To: m.To.String(), Keys: sel.text, input: in, Warnings: warnings(in)}
	for _, s := range []Strategy{PruneAfterRestore, CopyKeys, FilteredSnapshot, MigrateKeys, LiveSplit} {
		p.Options = append(p.Options, weigh(in, s))
	}
	p.rank()
	if p.Options[0].Verdict == Possible {
		p.choose(p.Options[0])
	}
	return p, nil
}

// checkCards refuses two cards of one server.
func checkCards(source, target *Server) error {
	for _, s := range source.Nodes {
		for _, t := range target.Nodes {
			if s.RunID == t.RunID {
				return refuse("the cards of source %s and target %s are of one server process (run_id %.8s); give the new store as the target", source.Addr, target.Addr, s.RunID)
			}
			if s.ReplID != "" && s.ReplID == t.ReplID {
				return refuse("source %s and target %s belong to one replication group (master_replid %.8s): what is changed on the one changes on the other", source.Addr, target.Addr, s.ReplID)
			}
		}
	}
	return nil
}

// rank puts the options in order: what is possible first, then what moves and deletes the fewest keys, those being the work in the window.
func (p *Plan) rank() {
	order := map[Possibility]int{Possible: 0, Undecided: 1, Impossible: 2}
	slices.SortStableFunc(p.Options, func(a, b Option) int {
		if d := order[a.Verdict] - order[b.Verdict]; d != 0 {
			return d
		}
		return cmp.Compare(p.windowWork(a), p.windowWork(b))
	})
}

// windowWork weighs the keys that pass through this package inside the maintenance window. Deleting a key costs the servers about a fifth
// of copying one (measured: 552,000 deletions a second, 120,000 copies at the floor); a snapshot is restored by the service itself.
func (p *Plan) windowWork(o Option) int64 {
	switch o.Strategy {
	case PruneAfterRestore:
		return o.Deleted.Keys.Value / 5
	case FilteredSnapshot:
		return p.input.census.Total.Keys.Value/5 + o.Moved.Keys.Value/2 // the whole file is fetched and read, then written and restored
	case MigrateKeys:
		return o.Moved.Keys.Value + o.Moved.Keys.Value/10 // blocks the source
	case LiveSplit:
		return math.MaxInt64 // it has no window, but the application has to be changed for it: a person's choice
	}
	return o.Moved.Keys.Value
}

// Choose takes another strategy than the first possible one. It refuses (ErrRefused) one that is impossible.
func (p *Plan) Choose(s Strategy) error {
	if p == nil || p.input == nil {
		return errors.New("redismigrate: choose: the plan is empty; MakePlan makes one")
	}
	for _, o := range p.Options {
		if o.Strategy != s {
			continue
		}
		if o.Verdict == Impossible {
			return fmt.Errorf("redismigrate: choose: %w", refuse("%s is impossible here: %s", s, o.Reasons[0]))
		}
		p.choose(o)
		return nil
	}
	return fmt.Errorf("redismigrate: choose: %q is no strategy of this package", s)
}

func (p *Plan) choose(o Option) {
	p.Chosen = o.Strategy
	p.Steps = stepsOf(o, p.input)
}

// warnings are what concerns every strategy.
func warnings(in *planInput) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if in.census.Sampled {
		add("the census is a sample: its figures hold within their bounds with %.0f %% confidence; measure all keys before the day", 100*in.census.Confidence)
	}
	if in.census.Method != "" && in.census.Method != "MEMORY USAGE" {
		add("bytes were measured as %s, which is less than the memory that the keys take; leave room", in.census.Method)
	}
	if age := time.Since(in.census.At); age > 7*24*time.Hour {
		add("the census is %d days old; measure again", int(age.Hours()/24))
	}
	if len(in.source.Functions) > 0 {
		add("the source has function libraries (%s), which are not keys: move those that the new application calls with CopyFunctions", joinQuoted(in.source.Functions))
	}
	if len(in.source.ServiceKeys) > 0 {
		add("keys of the service itself (%s) are left out of every step", joinQuoted(in.source.ServiceKeys))
	}
	if in.target.Persistence == "none" {
		add("the target %s keeps its data in memory only; a restart in the middle would lose what was done", in.target.Addr)
	}
	return out
}
