package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// copyKeys copies, or says what it would copy.
func copyKeys(ctx context.Context, c *console, args []string) (int, error) {
	s := newFlags(c, "copy", "copy the selected keys to the target; keys that are there already are left as they are").withSelector().withDBs().withDBMap()
	apply := s.flags.Bool("apply", false, "write to the target; without it, only count what would be copied")
	checkpoint := s.flags.String("checkpoint", "", "`file` that remembers how far the copy is, so that it can go on after a stop")
	throttle := s.throttle()
	if err := s.parse(args, 0); err != nil {
		return 0, err
	}
	m, err := s.move()
	if err != nil {
		return 0, err
	}
	report, end := progress(c.err)
	if !*apply {
		census, err := redismigrate.Measure(ctx, m.From, redismigrate.MeasureOptions{Keys: m.Keys, Progress: report})
		end()
		if err != nil {
			return 0, err
		}
		text := fmt.Sprintf("would copy %d keys, %d bytes, from %s to %s; nothing was written: add -apply", census.Selected.Keys.Value, census.Selected.Bytes.Value, m.From, m.To)
		return exitGood, s.write(c, census.Selected, text)
	}
	opt := redismigrate.CopyOptions{Progress: report, Throttle: *throttle}
	if *checkpoint != "" {
		opt.Checkpoint = redismigrate.FileCheckpoint(*checkpoint)
	}
	r, err := redismigrate.Copy(ctx, m, opt)
	end()
	return s.done(c, r, err)
}

// done shows what a job did, also when it was stopped.
func (s *stores) done(c *console, r redismigrate.Result, err error) (int, error) {
	if errors.Is(err, redismigrate.ErrFinished) {
		err = nil
	}
	if err != nil && r.Copied+r.Deleted+r.Exists == 0 {
		return 0, err
	}
	return exitGood, errors.Join(err, s.show(c, r))
}

// throttle adds its flags.
func (s *stores) throttle() *redismigrate.Throttle {
	t := &redismigrate.Throttle{}
	s.flags.DurationVar(&t.MaxLatency, "max-latency", 0, "slow down when the target takes longer to answer a PING (default: not watched)")
	s.flags.Int64Var(&t.MaxReplicaLag, "max-replica-lag", 0, "slow down when a replica of the target is more `bytes` behind (default: not watched)")
	s.flags.Int64Var(&t.MaxRate, "max-rate", 0, "keys per second, at most (default: no limit)")
	return t
}

// prune makes a plan and saves it, or applies a saved one.
func prune(ctx context.Context, c *console, args []string) (int, error) {
	s := newFlags(c, "prune", "delete from the target what is not selected: first a plan, then, with -apply, its deletions").withSelector().withDBs()
	file := s.flags.String("plan", "", "`file` that takes the plan; with -apply, the one to apply (required)")
	apply := s.flags.Bool("apply", false, "delete what the plan says")
	confirm := s.flags.String("confirm", "", "the `text` that the plan printed; without it, it is asked for")
	manifest := s.flags.String("manifest", "", "`file` that takes what is kept, for verify -manifest")
	allow := s.flags.Bool("allow-clients", false, "go on although others are connected to the target")
	throttle := s.throttle()
	if err := s.parse(args, 0); err != nil {
		return 0, err
	}
	if *file == "" {
		return 0, usageError{errors.New("-plan is missing; it names the file of the plan")}
	}
	source, err := s.source()
	if err != nil {
		return 0, err
	}
	target, err := s.target()
	if err != nil {
		return 0, err
	}
	report, end := progress(c.err)
	opt := redismigrate.PruneOptions{Progress: report, Throttle: *throttle, AllowClients: *allow}
	if *apply {
		return s.applyPrune(ctx, c, *file, *confirm, source, target, opt, end)
	}
	keep := s.selector()
	if err := keep.Validate(); err != nil {
		return 0, usageError{fmt.Errorf("%w (-include, -exclude)", err)}
	}
	out, err := os.OpenFile(*file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, usageError{fmt.Errorf("%w; name a file that does not exist yet, or add -apply to apply it", err)}
	}
	p, err := planPrune(ctx, source, target, keep, opt, *manifest, out)
	end()
	if err = errors.Join(err, out.Close()); err != nil {
		os.Remove(*file)
		return 0, err
	}
	text := p.String()
	if a := p.Advice(); a.CopyIsFaster {
		text += fmt.Sprintf("\nmind: so little is kept that copying it would be faster (%s against %s; %s)", a.Copy.Round(time.Second), a.Prune.Round(time.Second), a.Basis)
	}
	return exitGood, s.write(c, map[string]any{"plan": *file, "confirmation": p.Confirmation(), "dbs": p.DBs(), "outside": p.Outside(), "approximate": p.Approximate(), "advice": p.Advice()}, text)
}

func planPrune(ctx context.Context, source, target *redismigrate.Endpoint, keep redismigrate.Selector, opt redismigrate.PruneOptions, manifest string, out io.Writer) (*redismigrate.PrunePlan, error) {
	if manifest != "" {
		f, err := os.OpenFile(manifest, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, usageError{fmt.Errorf("%w; name a file that does not exist yet", err)}
		}
		defer f.Close()
		opt.Manifest = f
	}
	p, err := redismigrate.PlanPrune(ctx, source, target, keep, opt)
	if err != nil {
		return nil, err
	}
	return p, p.Save(out)
}

// applyPrune loads a plan, asks for its confirmation where none was given, and applies it.
func (s *stores) applyPrune(ctx context.Context, c *console, file, confirm string, source, target *redismigrate.Endpoint, opt redismigrate.PruneOptions, end func()) (int, error) {
	if len(s.include)+len(s.exclude) > 0 {
		return 0, usageError{errors.New("the plan says by itself which keys are kept; leave -include and -exclude out with -apply")}
	}
	in, err := os.Open(file)
	if err != nil {
		return 0, usageError{err}
	}
	p, err := redismigrate.LoadPrunePlan(in, source, target, redismigrate.Selector{}, opt)
	in.Close()
	if err != nil {
		return 0, err
	}
	if confirm == "" {
		fmt.Fprintf(c.err, "%s\nconfirmation: ", p)
		line, err := bufio.NewReader(c.in).ReadString('\n')
		if err != nil && line == "" {
			return 0, usageError{errors.New("no confirmation was typed; nothing was deleted")}
		}
		confirm = strings.TrimSpace(line)
	}
	r, err := p.Apply(ctx, confirm)
	end()
	return s.done(c, r, err)
}

// filter writes a snapshot.
func filter(ctx context.Context, c *console, args []string) (int, error) {
	s := newFlags(c, "filter", "write a snapshot that holds only the selected keys; no server is involved").withSelector().withDBMap()
	dbs := s.flags.String("dbs", "", "`numbers` of the dbs of the snapshot that take part, with commas (default: all)")
	expired := s.flags.Bool("drop-expired", false, "leave out keys whose expiry is over")
	functions := s.flags.Bool("drop-functions", false, "leave out function libraries")
	if err := s.parse(args, 2); err != nil {
		return 0, err
	}
	keep := s.selector()
	if err := keep.Validate(); err != nil {
		return 0, usageError{fmt.Errorf("%w (-include, -exclude)", err)}
	}
	opt := redismigrate.FilterOptions{DropExpired: *expired, DropFunctions: *functions}
	var err error
	if opt.DBs, err = numbers(*dbs); err != nil {
		return 0, err
	}
	if opt.DBMap, err = s.mapping(); err != nil {
		return 0, err
	}
	in, out, err := files(s.flags.Arg(0), s.flags.Arg(1))
	if err != nil {
		return 0, err
	}
	defer in.Close()
	report, end := progress(c.err)
	opt.Progress = report
	r, err := redismigrate.Filter(ctx, in, out, keep, opt)
	end()
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		os.Remove(s.flags.Arg(1)) // no server would load it
		return 0, err
	}
	return exitGood, s.show(c, r)
}

// rehearse runs the plan on stand-ins.
func rehearse(ctx context.Context, c *console, args []string) (int, error) {
	s := newFlags(c, "rehearse", "run the plan on stand-ins (REDISMIGRATE_STANDIN_SOURCE, REDISMIGRATE_STANDIN_TARGET) and forecast the day").withSelector().withDBs().withDBMap()
	apply := s.flags.Bool("apply", false, "write to and delete from the stand-in's target (required)")
	var opt redismigrate.RehearseOptions
	s.flags.DurationVar(&opt.Window, "window", 0, "how long the maintenance window is")
	s.flags.DurationVar(&opt.Back, "back", 0, "how long the way back takes")
	s.flags.DurationVar(&opt.Restore, "restore", 0, "how long restoring the snapshot into the stand-in's target took")
	p, err := s.makePlan(ctx, c, args)
	if err != nil {
		return 0, err
	}
	if !*apply {
		return 0, usageError{errors.New("a rehearsal writes to the stand-in's target and deletes there; add -apply")}
	}
	var standIn redismigrate.Move
	if standIn.From, err = s.endpoint("REDISMIGRATE_STANDIN_SOURCE", "", s.dbs); err != nil {
		return 0, err
	}
	if standIn.To, err = s.endpoint("REDISMIGRATE_STANDIN_TARGET", "", s.dbs); err != nil {
		return 0, err
	}
	report, end := progress(c.err)
	opt.Measure.Progress, opt.Copy.Progress, opt.Prune.Progress, opt.Verify.Progress = report, report, report, report
	r, err := redismigrate.Rehearse(ctx, p, standIn, opt)
	end()
	if r == nil {
		return 0, err
	}
	if err := errors.Join(err, s.show(c, r)); err != nil {
		return 0, err
	}
	return code(r.Verdict), nil
}
