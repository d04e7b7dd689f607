package redismigrate

import (
	"cmp"
	"fmt"
	"slices"
)

// prefixGroup is a group of keys and the glob that all of them match.
type prefixGroup struct {
	glob  string
	sums  sums
	exact bool // no other key matches
}

// otherKeys is the group of the keys that are in no group that is shown.
const otherKeys = "(other)"

// grouper puts keys into groups by name.
type grouper interface {
	place(key string) *sums
	groups() []prefixGroup
}

// givenPrefixes are the patterns that the user named: a key belongs to the first that matches it.
type givenPrefixes struct {
	globs []*glob
	found []prefixGroup // the last is for what none of them matches
}

func newGivenPrefixes(patterns []string) (*givenPrefixes, error) {
	g := &givenPrefixes{}
	for i, pattern := range patterns {
		compiled, err := compileGlob(pattern)
		if err != nil {
			return nil, fmt.Errorf("the option Prefixes[%d] %q: %w", i, pattern, err)
		}
		if !compiled.all && len(compiled.ops) == 0 {
			return nil, fmt.Errorf("the option Prefixes[%d] %q is the name of a single key, not a pattern; write %q for the keys that begin so", i, pattern, pattern+"*")
		}
		if slices.Contains(patterns[:i], pattern) {
			return nil, fmt.Errorf("the option Prefixes names %q twice", pattern)
		}
		g.globs = append(g.globs, compiled)
	}
	return g.empty(), nil
}

// empty returns the same patterns with nothing counted.
func (g *givenPrefixes) empty() *givenPrefixes {
	fresh := &givenPrefixes{globs: g.globs}
	for _, compiled := range g.globs {
		fresh.found = append(fresh.found, prefixGroup{glob: compiled.source, exact: true})
	}
	fresh.found = append(fresh.found, prefixGroup{})
	return fresh
}

func (g *givenPrefixes) place(key string) *sums {
	at := len(g.globs)
	for i, compiled := range g.globs {
		if !compiled.match(key) {
			continue
		}
		if at < i {
			g.found[i].exact = false // the key is counted with an earlier pattern
			continue
		}
		at = i
	}
	return &g.found[at].sums
}

func (g *givenPrefixes) groups() []prefixGroup { return g.found }

// shown reduces the groups of a tree to the most that are shown, by their share of keys or of bytes, and says which globs are exact. What is
// left over is the last, without a glob.
func shown(groups []prefixGroup, most int) []prefixGroup {
	var keys, bytes float64
	for _, g := range groups {
		keys += float64(g.sums.keys())
		bytes += float64(g.sums.estimate())
	}
	share := func(g prefixGroup) float64 {
		return max(float64(g.sums.keys())/max(1, keys), float64(g.sums.estimate())/max(1, bytes))
	}
	groups = slices.Clone(groups)
	slices.SortStableFunc(groups, func(a, b prefixGroup) int {
		return cmp.Or(cmp.Compare(share(b), share(a)), cmp.Compare(a.glob, b.glob))
	})
	for i := range min(most, len(groups)) {
		groups[i].exact = apart(groups, i)
	}
	if len(groups) <= most {
		return groups
	}
	other := prefixGroup{}
	for _, g := range groups[most:] {
		other.sums.add(g.sums)
	}
	return append(groups[:most:most], other)
}

// maxApart bounds the comparisons of globs.
const maxApart = 3000

// apart reports whether no other group can hold a key that the glob of the i-th matches.
func apart(groups []prefixGroup, i int) bool {
	if len(groups) > maxApart {
		return false
	}
	for j := range groups {
		if j != i && overlap(groups[i].glob, groups[j].glob) {
			return false
		}
	}
	return true
}

// overlap reports whether there is a key that both globs match, for globs of literal bytes and stars only.
func overlap(a, b string) bool {
	x, y := globBytes(a), globBytes(b)
	for len(x) > 0 && len(y) > 0 && x[0] != anyRun && y[0] != anyRun { // mostly they differ in the beginning
		if x[0] != y[0] {
			return false
		}
		x, y = x[1:], y[1:]
	}
	// reach[j]: the first i bytes of x and j of y can be the same text.
	reach := make([]bool, len(y)+1)
	for i := 0; i <= len(x); i++ {
		diagonal := false // reach[j-1] of the row before
		for j := 0; j <= len(y); j++ {
			above := i > 0 && reach[j]
			left := j > 0 && reach[j-1]
			here := i == 0 && j == 0
			if i > 0 && x[i-1] == anyRun {
				here = here || above || left
			}
			if j > 0 && y[j-1] == anyRun {
				here = here || left || above
			}
			if i > 0 && j > 0 && diagonal && x[i-1] == y[j-1] {
				here = true
			}
			diagonal, reach[j] = above, here
		}
	}
	return reach[len(y)]
}

// anyRun stands for a star among the bytes of a glob.
const anyRun = 256

func globBytes(glob string) []int {
	out := make([]int, 0, len(glob))
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case c == '*':
			out = append(out, anyRun)
		case c == '\\' && i+1 < len(glob):
			i++
			out = append(out, int(glob[i]))
		default:
			out = append(out, int(c))
		}
	}
	return out
}
