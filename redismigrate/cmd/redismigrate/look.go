package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// inspect shows the card of one store, and how it differs from another's.
func inspect(ctx context.Context, c *console, args []string) (int, error) {
	s := newFlags(c, "inspect", "what a server is and what it really allows; nothing is written").withSelector().withDBs()
	target := s.flags.Bool("target", false, "look at REDISMIGRATE_TARGET (and which payloads its RESTORE takes) instead of REDISMIGRATE_SOURCE")
	compare := s.flags.String("compare", "", "`file` with the card of the store that this one stands in for (inspect -json); tells what differs")
	if err := s.parse(args, 0); err != nil {
		return 0, err
	}
	endpoint := s.source
	if *target {
		endpoint = s.target
	}
	e, err := endpoint()
	if err != nil {
		return 0, err
	}
	card, err := redismigrate.Inspect(ctx, e, redismigrate.InspectOptions{Target: *target, Keys: s.selector()})
	if err != nil {
		return 0, err
	}
	if *compare == "" {
		return exitGood, s.show(c, card)
	}
	var other redismigrate.Server
	if err := readJSON(*compare, &other); err != nil {
		return 0, err
	}
	differs := redismigrate.Compare(card, &other)
	return code(differs.Verdict()), s.show(c, differs)
}

// readJSON reads a file that this command wrote with -json.
func readJSON(file string, into any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return usageError{err}
	}
	if err := json.Unmarshal(data, into); err != nil {
		return usageError{fmt.Errorf("%s is not what this command writes with -json: %w", file, err)}
	}
	return nil
}

// measure shows a census of the source.
func measure(ctx context.Context, c *console, args []string) (int, error) {
	s := newFlags(c, "measure", "keys, bytes and expiries of the source, by prefix; nothing is written").withSelector().withDBs()
	sample := s.flags.Float64("sample", 0, "`fraction` of the keys to weigh, 0.01 for one in a hundred (default: all)")
	rate := s.flags.Int("max-rate", 0, "keys per second to look at, at most (default: as fast as the server answers)")
	biggest := s.flags.Int("biggest", 0, "how many of the largest keys to list (default 20)")
	var prefixes list
	s.flags.Var(&prefixes, "prefix", "glob `pattern` to group by; may be given several times (default: found from the names)")
	if err := s.parse(args, 0); err != nil {
		return 0, err
	}
	e, err := s.source()
	if err != nil {
		return 0, err
	}
	report, end := progress(c.err)
	census, err := redismigrate.Measure(ctx, e, redismigrate.MeasureOptions{Keys: s.selector(), Sample: *sample, MaxRate: *rate, Biggest: *biggest, Prefixes: prefixes, Progress: report})
	end()
	if census != nil {
		if err := errors.Join(err, s.show(c, census)); err != nil {
			return 0, err
		}
		return exitGood, nil
	}
	return 0, err
}

// plan shows which ways there are.
func plan(ctx context.Context, c *console, args []string) (int, error) {
	s := newFlags(c, "plan", "which ways there are from the source to the target, and the steps of the best; nothing is written").withSelector().withDBs().withDBMap()
	p, err := s.makePlan(ctx, c, args)
	if err != nil {
		return 0, err
	}
	if err := s.show(c, p); err != nil {
		return 0, err
	}
	if p.Chosen != "" {
		return exitGood, nil
	}
	for _, o := range p.Options {
		if o.Verdict == redismigrate.Undecided {
			return exitUnknown, nil
		}
	}
	return exitBad, nil
}

// makePlan reads the flags, inspects both stores and measures the source.
func (s *stores) makePlan(ctx context.Context, c *console, args []string) (*redismigrate.Plan, error) {
	var app redismigrate.ClientAbilities
	s.flags.BoolVar(&app.Cluster, "client-cluster", false, "the application's client speaks the cluster protocol")
	s.flags.BoolVar(&app.TLS, "client-tls", false, "the application's client speaks TLS")
	s.flags.BoolVar(&app.GoRedis, "client-go-redis", false, "the application is a Go program that uses go-redis, and may go over live")
	s.flags.BoolVar(&app.DBs, "client-dbs", false, "the application's client can use another db than 0")
	strategy := s.flags.String("strategy", "", `take this strategy ("prune after restore", "copy", "filtered snapshot", "migrate", "live split") instead of the best`)
	sample := s.flags.Float64("sample", 0, "`fraction` of the keys to weigh (default: all)")
	if err := s.parse(args, 0); err != nil {
		return nil, err
	}
	m, err := s.move()
	if err != nil {
		return nil, err
	}
	source, err := redismigrate.Inspect(ctx, m.From, redismigrate.InspectOptions{Keys: m.Keys})
	if err != nil {
		return nil, err
	}
	target, err := redismigrate.Inspect(ctx, m.To, redismigrate.InspectOptions{Target: true, Keys: m.Keys})
	if err != nil {
		return nil, err
	}
	report, end := progress(c.err)
	census, err := redismigrate.Measure(ctx, m.From, redismigrate.MeasureOptions{Keys: m.Keys, Sample: *sample, Progress: report})
	end()
	if err != nil {
		return nil, err
	}
	p, err := redismigrate.MakePlan(m, source, target, census, app)
	if err == nil && *strategy != "" {
		err = p.Choose(redismigrate.Strategy(*strategy))
	}
	return p, err
}

// verify compares source and target.
func verify(ctx context.Context, c *console, args []string) (int, error) {
	s := newFlags(c, "verify", "compare source and target, both ways; nothing is written").withSelector().withDBs().withDBMap()
	sample := s.flags.Float64("sample", 0, "compare the values of this `part` of the keys only: below 1 a fraction, else about so many (default: all)")
	tolerance := s.flags.Duration("ttl-tolerance", 0, "by how much two expiries may differ (default 50ms)")
	differences := s.flags.String("differences", "", "`file` that takes every difference, one JSON object a line")
	manifest := s.flags.String("manifest", "", "compare the target with this `file`, which prune -manifest wrote, instead of with the source")
	if err := s.parse(args, 0); err != nil {
		return 0, err
	}
	report, end := progress(c.err)
	opt := redismigrate.VerifyOptions{Sample: *sample, TTLTolerance: *tolerance, Progress: report}
	if *differences != "" {
		f, err := os.OpenFile(*differences, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return 0, usageError{fmt.Errorf("%w; name a file that does not exist yet", err)}
		}
		defer f.Close()
		opt.Differences = f
	}
	v, err := s.verified(ctx, *manifest, opt)
	end()
	if v != nil {
		text := v.String()
		for _, d := range v.Differences {
			text += "\n" + d.String()
		}
		if err := errors.Join(err, s.write(c, v, text)); err != nil {
			return 0, err
		}
		return code(v.Verdict), nil
	}
	return 0, err
}

func (s *stores) verified(ctx context.Context, manifest string, opt redismigrate.VerifyOptions) (*redismigrate.Verification, error) {
	if manifest == "" {
		m, err := s.move()
		if err != nil {
			return nil, err
		}
		return redismigrate.Verify(ctx, m, opt)
	}
	if len(s.include)+len(s.exclude) > 0 {
		return nil, usageError{errors.New("-manifest says by itself which keys are meant; leave -include and -exclude out")}
	}
	e, err := s.target()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(manifest)
	if err != nil {
		return nil, usageError{err}
	}
	defer f.Close()
	return redismigrate.VerifyManifest(ctx, e, f, opt)
}
