package redismigrate

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// connectionName is how a job's connections show in CLIENT LIST.
func connectionName() string {
	var id [6]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	return "tashikame-" + hex.EncodeToString(id[:])
}

// patterns is the selector without its function.
func (s Selector) patterns() Selector {
	return Selector{ID: s.ID, Include: slices.Clone(s.Include), Exclude: slices.Clone(s.Exclude)}
}

const (
	planFormat  = 1
	maxPlanFile = 16 << 20
)

// savedPlan is what a file keeps of a plan. It holds no passwords and no addresses to connect to: who loads it brings the endpoints.
type savedPlan struct {
	Format int             `json:"tashikame_prune_plan"`
	Sum    string          `json:"sha256"` // of Plan's bytes: shows a file that was cut or edited
	Plan   json.RawMessage `json:"plan"`
}

type savedBody struct {
	Made        time.Time     `json:"made"`
	Valid       time.Duration `json:"valid_ns"`
	Target      string        `json:"target"`
	Coverage    string        `json:"dbs_of_the_job"`
	TargetRuns  []string      `json:"target_run_ids"`
	SourceRuns  []string      `json:"source_run_ids"`
	Command     string        `json:"command"`
	ID          string        `json:"selector_id,omitempty"`
	Include     []string      `json:"include,omitempty"`
	Exclude     []string      `json:"exclude,omitempty"`
	Match       bool          `json:"match"`
	DBs         []DBCount     `json:"dbs"`
	Outside     []DBCount     `json:"outside,omitempty"`
	Approximate bool          `json:"approximate"`
	ScanRate    float64       `json:"scan_rate"`
	Canaries    []savedCanary `json:"canaries"`
	Witnesses   []savedKey    `json:"witnesses"`
}

type savedCanary struct {
	DB    int    `json:"db"`
	Key   string `json:"key"`
	Value string `json:"value"`
}

type savedKey struct {
	DB  int    `json:"db"`
	Key []byte `json:"key_base64"`
}

// Save writes the plan as JSON, so that another process can apply it (LoadPrunePlan). It holds no password. An Apply that was stopped or
// killed, in whichever process, is finished by applying the plan again. A plan that was applied to its end, or discarded, cannot be saved.
func (p *PrunePlan) Save(w io.Writer) error {
	if p == nil || p.keep == nil {
		return errors.New("redismigrate: save the prune plan: the plan is empty; PlanPrune makes one")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done || p.dropped {
		return errors.New("redismigrate: save the prune plan: it was applied to its end or discarded; make a new one")
	}
	body := savedBody{
		Made: p.made, Valid: p.opt.Valid, Target: p.addr, Coverage: p.target.coverageOrNone(), TargetRuns: p.targetRuns, SourceRuns: p.sourceRuns,
		Command: p.command, ID: p.patterns.ID, Include: quoted(p.patterns.Include), Exclude: quoted(p.patterns.Exclude), Match: p.keep.match != nil,
		DBs: p.dbs, Outside: p.outside, Approximate: p.approximate, ScanRate: p.scanRate,
	}
	for _, c := range p.canaries {
		body.Canaries = append(body.Canaries, savedCanary{c.db, c.key, c.value})
	}
	for _, k := range p.witnesses {
		body.Witnesses = append(body.Witnesses, savedKey{k.db, []byte(k.key)})
	}
	plan, err := json.Marshal(body)
	if err == nil {
		var file []byte
		if file, err = json.Marshal(savedPlan{planFormat, planSum(plan), plan}); err == nil {
			_, err = w.Write(append(file, '\n'))
		}
	}
	if err != nil {
		return fmt.Errorf("redismigrate: save the prune plan: %w", err)
	}
	return nil
}

// quoted writes patterns as Go strings: they are bytes, and JSON takes UTF-8 only.
func quoted(patterns []string) []string {
	out := make([]string, len(patterns))
	for i, p := range patterns {
		out[i] = strconv.Quote(p)
	}
	return out
}

func unquoted(list []string) ([]string, error) {
	var out []string
	for _, text := range list {
		p, err := strconv.Unquote(text)
		if err != nil {
			return nil, fmt.Errorf("the pattern %s of the plan is no quoted string", text)
		}
		out = append(out, p)
	}
	return out, nil
}

func planSum(plan []byte) string {
	sum := sha256.Sum256(plan)
	return hex.EncodeToString(sum[:])
}

// LoadPrunePlan reads a plan that Save wrote. It connects to nothing: Apply proves that the endpoints reach the very processes (run_id)
// that the plan was made with, and that its canaries are there. The endpoints may name other addresses of them, as another node of the
// cluster. keep may be the zero Selector: then it is the saved one; it has to be given where it has a Match function, which cannot be
// saved, and has to be the same by its text. The options are the new ones, but for Valid, which is the plan's.
func LoadPrunePlan(r io.Reader, source, target *Endpoint, keep Selector, opt PruneOptions) (*PrunePlan, error) {
	p, err := loadPrunePlan(r, source, target, keep, opt.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("redismigrate: load the prune plan: %w", err)
	}
	return p, nil
}

func loadPrunePlan(r io.Reader, source, target *Endpoint, keep Selector, opt PruneOptions) (*PrunePlan, error) {
	body, err := readPlan(r)
	if err != nil {
		return nil, err
	}
	if source == nil || target == nil {
		return nil, errors.New("give the endpoints of source and target; the plan's file holds none")
	}
	if err := source.Validate(); err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	if err := target.Validate(); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	saved := Selector{ID: body.ID, Match: keep.Match}
	if saved.Include, err = unquoted(body.Include); err != nil {
		return nil, err
	}
	if saved.Exclude, err = unquoted(body.Exclude); err != nil {
		return nil, err
	}
	switch {
	case body.Match && keep.Match == nil:
		return nil, fmt.Errorf("the plan's selector %q has a Match function, which cannot be saved; give the selector", body.ID)
	case !body.Match && keep.Match != nil, keep.String() != (Selector{}).String() && keep.String() != saved.String():
		return nil, refuse("the plan was made for the selector %s, not for %s; make a new plan", saved, keep)
	case target.coverageOrNone() != body.Coverage:
		return nil, refuse("the plan is for %s of the target, but the endpoint names %s; name the same", body.Coverage, target.coverageOrNone())
	}
	p := &PrunePlan{
		source: source.clone(), target: target.clone(), patterns: saved.patterns(), opt: opt, addr: body.Target, sourceRuns: body.SourceRuns, targetRuns: body.TargetRuns,
		command: body.Command, dbs: body.DBs, outside: body.Outside, approximate: body.Approximate, scanRate: body.ScanRate, made: body.Made,
	}
	if p.keep, err = saved.compile(); err != nil {
		return nil, err
	}
	p.opt.Valid = body.Valid
	for _, c := range body.Canaries {
		p.canaries = append(p.canaries, canary{db: c.DB, key: c.Key, value: c.Value, valid: body.Valid, command: body.Command})
	}
	for _, k := range body.Witnesses {
		p.witnesses = append(p.witnesses, witness{k.DB, string(k.Key)})
	}
	return p, p.checkLoaded()
}

func readPlan(r io.Reader) (savedBody, error) {
	var file savedPlan
	var body savedBody
	data, err := io.ReadAll(io.LimitReader(r, maxPlanFile))
	if err != nil {
		return body, err
	}
	if err := json.Unmarshal(data, &file); err != nil || file.Format < 1 {
		return body, fmt.Errorf("these %d bytes are no prune plan, or the file was cut short; make a new plan", len(data))
	}
	if file.Format > planFormat {
		return body, fmt.Errorf("the plan is of format %d, which a newer version of this package wrote; this one reads up to %d", file.Format, planFormat)
	}
	if planSum(file.Plan) != file.Sum {
		return body, errors.New("the plan's file was changed after it was written (its sum does not fit); make a new plan")
	}
	if err := json.Unmarshal(file.Plan, &body); err != nil {
		return body, fmt.Errorf("the plan cannot be read: %w", err)
	}
	return body, nil
}

// checkLoaded refuses a plan that lacks what its interlocks need. Even where the sum was computed anew: the canaries on the server carry
// the plan's fingerprint.
func (p *PrunePlan) checkLoaded() error {
	if len(p.canaries) == 0 || len(p.targetRuns) == 0 || len(p.sourceRuns) == 0 || len(p.dbs) == 0 || p.Total().Keep <= 0 {
		return refuse("the plan lacks its canaries, run_ids or counts; make a new plan")
	}
	if p.command != "UNLINK" && p.command != "DEL" {
		return refuse("the plan deletes with %q; make a new plan", p.command)
	}
	want := "prune plan " + p.fingerprint() + " for "
	for _, c := range p.canaries {
		if !isServiceKey(c.key) || len(c.value) < len(want) || c.value[:len(want)] != want {
			return refuse("the plan does not fit its canaries: it was changed after it was made; make a new plan")
		}
	}
	return nil
}
