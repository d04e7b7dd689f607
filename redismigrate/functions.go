package redismigrate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// FunctionsOptions tune CopyFunctions. The zero value copies every library and loads no script.
type FunctionsOptions struct {
	// Libraries are the libraries to copy, by name. Empty means all of the source's.
	Libraries []string
	// Scripts are texts of Lua scripts to load on the target (SCRIPT LOAD), so that the first EVALSHA of an application finds them there. A
	// server does not list the scripts that it has cached, and forgets them when it restarts, so they must come from where the application
	// keeps them.
	Scripts []string
}

// FunctionsResult says what CopyFunctions did, also when it returns an error. Each library of the source that was asked for is in one of the
// first three lists.
type FunctionsResult struct {
	// Complete is true when all of it was done, and each library of the source is on every master of the target with the same code.
	Complete bool `json:"complete"`
	// Copied are the libraries that were written to at least one master of the target.
	Copied []string `json:"copied"`
	// Exists are the libraries that every master of the target had already, with the same code.
	Exists []string `json:"exists"`
	// Differs are the libraries that the target has with other code. They were left as they are.
	Differs []string `json:"differs"`
	// Scripts are the SHA-1 sums, which EVALSHA takes, of the scripts that were loaded, in the order of FunctionsOptions.Scripts.
	Scripts []string `json:"scripts,omitempty"`
	// Notes say how it was done, where that matters.
	Notes []string `json:"notes,omitempty"`
}

// String is one line for a log: "copied 2, already there 1".
func (r FunctionsResult) String() string {
	text := fmt.Sprintf("libraries: copied %d, already there %d", len(r.Copied), len(r.Exists))
	if len(r.Differs) > 0 {
		text += fmt.Sprintf(", there with other code %d (%s)", len(r.Differs), strings.Join(r.Differs, ", "))
	}
	if len(r.Scripts) > 0 {
		text += fmt.Sprintf("; scripts loaded %d", len(r.Scripts))
	}
	if !r.Complete {
		text = "incomplete: " + text
	}
	return text
}

// CopyFunctions copies the libraries of functions, which are not keys and which Copy therefore leaves behind, to every master of the
// target; m.Keys and m.DBMap have no say in it. Nothing on the target is replaced or flushed: a library that it has already is left as it
// is, and one with other code is an error. Where a master has none of them yet and reads the source's payloads, they arrive all at once
// (FUNCTION DUMP and RESTORE, policy APPEND), and else one by one from their code (FUNCTION LOAD). It may be run again. Nothing is
// written to the source.
//
// It refuses (ErrRefused) a target that is the source, and a source cluster whose masters do not all have the same libraries. Both servers
// must know functions (Redis 7.0 and newer, Valkey).
func CopyFunctions(ctx context.Context, m Move, opt FunctionsOptions) (FunctionsResult, error) {
	var r FunctionsResult
	err := r.run(ctx, m, opt)
	slices.Sort(r.Copied)
	if err != nil {
		return r, fmt.Errorf("redismigrate: copy functions: %w", err)
	}
	r.Complete = true
	return r, nil
}

func (r *FunctionsResult) run(ctx context.Context, m Move, opt FunctionsOptions) error {
	from, to, err := openPair(ctx, m.From, m.To, nil, true)
	if err != nil {
		return err
	}
	defer from.close()
	defer to.close()
	want, err := from.commonLibraries(ctx)
	if err != nil {
		return err
	}
	whole := len(opt.Libraries) == 0
	if !whole {
		if want, err = onlyLibraries(want, opt.Libraries, from.addr); err != nil {
			return err
		}
	}
	have := make([]map[string]string, len(to.nodes))
	for i, n := range to.nodes { // all of them first: what differs shows before anything is written
		if have[i], err = n.libraries(ctx); err != nil {
			return err
		}
	}
	r.judge(want, have)
	if len(r.Differs) > 0 {
		return fmt.Errorf("target %s: it has %s with other code than the source; nothing was written: look which is right, and delete the other (FUNCTION DELETE) or leave it out (FunctionsOptions.Libraries)",
			to.addr, named("library", r.Differs))
	}
	payload, err := r.payload(ctx, from, to, whole && len(want) > 0)
	if err != nil {
		return err
	}
	for i, n := range to.nodes {
		if err := r.bring(ctx, n, want, have[i], payload); err != nil {
			return err
		}
	}
	return r.loadScripts(ctx, to, opt.Scripts)
}

// judge tells what is to be done from what is there.
func (r *FunctionsResult) judge(want map[string]string, have []map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		everywhere, other := true, false
		for _, there := range have {
			code, ok := there[name]
			everywhere = everywhere && ok
			other = other || ok && code != want[name]
		}
		switch {
		case other:
			r.Differs = append(r.Differs, name)
		case everywhere:
			r.Exists = append(r.Exists, name)
		}
	}
}

// payload is all of the source's functions in one piece, "" when that cannot be used.
func (r *FunctionsResult) payload(ctx context.Context, from, to *session, wanted bool) (string, error) {
	if !wanted {
		return "", nil
	}
	payload, err := from.keyless(from.opts.DB).FunctionDump(ctx).Result()
	if isServerError(err) {
		r.Notes = append(r.Notes, fmt.Sprintf("the source %s does not let FUNCTION DUMP (%v): libraries are loaded one by one", from.addr, err))
		return "", nil
	}
	if err != nil {
		return "", from.fail("FUNCTION DUMP", err)
	}
	for _, n := range to.nodes {
		takes, why, err := n.restoreVersions(ctx)
		if err != nil {
			return "", err
		}
		if v := trailer(payload); why != "" || v == 0 || v > highestPayload || !takes[v] { // code can be loaded all the same
			r.Notes = append(r.Notes, fmt.Sprintf("the target %s (version %s) is not known to read what FUNCTION DUMP of the source %s (version %s) writes: libraries are loaded one by one",
				n.addr, to.id.version, from.addr, from.id.version))
			return "", nil
		}
	}
	return payload, nil
}

// bring writes the libraries that one master lacks.
func (r *FunctionsResult) bring(ctx context.Context, n *node, want, have map[string]string, payload string) error {
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, ok := have[name]; !ok {
			missing = append(missing, name)
		}
	}
	c := n.db(n.opts.DB)
	if payload != "" && len(missing) == len(want) {
		if err := c.Do(ctx, "FUNCTION", "RESTORE", payload, "APPEND").Err(); err != nil {
			return n.fail("FUNCTION RESTORE with policy APPEND (all libraries or none)", err)
		}
		r.copied(missing...)
		return nil
	}
	for _, name := range missing {
		if err := c.FunctionLoad(ctx, want[name]).Err(); err != nil {
			return n.fail(fmt.Sprintf("FUNCTION LOAD of library %q", name), err)
		}
		r.copied(name)
	}
	return nil
}

func (r *FunctionsResult) copied(names ...string) {
	for _, name := range names {
		if !slices.Contains(r.Copied, name) {
			r.Copied = append(r.Copied, name)
		}
	}
}

func (r *FunctionsResult) loadScripts(ctx context.Context, to *session, scripts []string) error {
	for i, text := range scripts {
		for j, n := range to.nodes {
			sum, err := n.db(n.opts.DB).ScriptLoad(ctx, text).Result()
			if err != nil {
				return n.fail(fmt.Sprintf("SCRIPT LOAD of Scripts[%d]", i), err)
			}
			if j == 0 {
				r.Scripts = append(r.Scripts, sum)
			}
		}
	}
	return nil
}

// libraries are the code of the libraries of one master, by their names.
func (n *node) libraries(ctx context.Context) (map[string]string, error) {
	list, err := n.db(n.opts.DB).FunctionList(ctx, redis.FunctionListQuery{WithCode: true}).Result()
	if err != nil {
		return nil, n.fail("FUNCTION LIST WITHCODE", err)
	}
	code := map[string]string{}
	for _, l := range list {
		code[l.Name] = l.Code
	}
	return code, nil
}

// commonLibraries are the libraries of a source, which all of its masters must have alike.
func (s *session) commonLibraries(ctx context.Context) (map[string]string, error) {
	var first map[string]string
	for i, n := range s.nodes {
		code, err := n.libraries(ctx)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = code
		} else if !maps.Equal(first, code) {
			return nil, refuse("the masters %s and %s of the source cluster do not have the same libraries of functions, so it is not clear which belong together; load on each what the others have (FUNCTION LIST), then start again", s.nodes[0].addr, n.addr)
		}
	}
	return first, nil
}

func onlyLibraries(all map[string]string, names []string, addr string) (map[string]string, error) {
	only, missing := map[string]string{}, []string(nil)
	for _, name := range names {
		if code, ok := all[name]; ok {
			only[name] = code
		} else {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("source %s: it has no %s; see FUNCTION LIST", addr, named("library", missing))
	}
	return only, nil
}

// named is `library "a"` or `libraries "a", "b"`.
func named(one string, names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = fmt.Sprintf("%q", name)
	}
	if len(list) > 1 {
		one = strings.TrimSuffix(one, "y") + "ies"
	}
	return one + " " + strings.Join(list, ", ")
}
