package redismigrate

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

const (
	maxTreeNodes = 10_000 // of a tree of patterns: about 3 MB
	manyChildren = 32     // more names than that in one place are looked at for being identifiers
)

// prefixTree groups keys by the pattern of their names, in bounded memory. Where one place of the names takes many different words, each of
// few keys (user names), those become a star; words of many keys stay apart. A word that is there from the beginning and stays has all
// of its keys counted. Trees that never came to their limit are the same whatever the order of the keys.
type prefixTree struct {
	root  *prefixNode
	nodes int
	max   int
}

type prefixNode struct {
	sums     *sums // of the keys that end here; nil: none do
	children map[edge]*prefixNode
	folded   bool // words that are not among the children go to a star
	closed   bool // everything below goes to one star
}

func newPrefixTree() *prefixTree {
	return &prefixTree{root: &prefixNode{}, nodes: 1, max: maxTreeNodes}
}

// place returns the sums of the group of a key. They are good until the next call.
func (t *prefixTree) place(key string) *sums {
	if t.nodes >= t.max {
		t.compact()
	}
	n, rest := t.root, key
	for depth := 0; ; depth++ {
		if rest == "" && depth > 0 {
			break
		}
		var e edge
		if depth == maxPieces-1 || n.closed || rest == "" {
			e, rest = edge{star: true}, ""
		} else {
			e, rest = cutPiece(rest)
		}
		n = t.child(n, e)
	}
	if n.sums == nil {
		n.sums = &sums{}
	}
	return n.sums
}

func (t *prefixTree) child(n *prefixNode, e edge) *prefixNode {
	if c := n.children[e]; c != nil {
		return c
	}
	if n.folded && !e.star {
		e = e.general()
		if c := n.children[e]; c != nil {
			return c
		}
	}
	if n.children == nil {
		n.children = map[edge]*prefixNode{}
	}
	c := &prefixNode{}
	n.children[edge{e.star, strings.Clone(e.text)}] = c
	t.nodes++
	return c
}

// merge adds the groups of another tree, which must not be used any more.
func (t *prefixTree) merge(o *prefixTree) {
	t.root.merge(o.root)
	if t.nodes = t.root.count(); t.nodes >= t.max {
		t.compact()
	}
}

// keys is how many keys lie below.
func (n *prefixNode) keys() int64 {
	var sum int64
	if n.sums != nil {
		sum = n.sums.keys()
	}
	for _, c := range n.children {
		sum += c.keys()
	}
	return sum
}

func (n *prefixNode) count() int {
	sum := 1
	for _, c := range n.children {
		sum += c.count()
	}
	return sum
}

// merge adds another node's keys to this one's.
func (n *prefixNode) merge(o *prefixNode) {
	if o.sums != nil {
		if n.sums == nil {
			n.sums = &sums{}
		}
		n.sums.add(*o.sums)
	}
	n.folded = n.folded || o.folded // words that stand apart here stay so
	n.closed = n.closed || o.closed
	for e, c := range o.children {
		n.take(e, c)
	}
}

func (n *prefixNode) take(e edge, c *prefixNode) {
	have := n.children[e]
	if have == nil && n.folded && !e.star {
		e = e.general()
		have = n.children[e]
	}
	if have != nil {
		have.merge(c)
		return
	}
	if n.children == nil {
		n.children = map[edge]*prefixNode{}
	}
	n.children[e] = c
}

// fold turns the words that are light into stars.
func (n *prefixNode) fold(light func(edge, *prefixNode) bool) {
	var gone []edge
	for e, c := range n.children {
		if !e.star && light(e, c) {
			gone = append(gone, e)
		}
	}
	if len(gone) == 0 {
		return
	}
	n.folded = true
	for _, e := range gone {
		c := n.children[e]
		delete(n.children, e)
		n.take(e.general(), c)
	}
}

// compact makes room: words that look like identifiers first, then the words of the fewest keys, then the deepest pieces.
func (t *prefixTree) compact() {
	t.tidy()
	for least := int64(2); t.nodes > t.max/2 && least < 1<<40; least *= 2 {
		t.root.foldLight(least)
		t.nodes = t.root.count()
	}
	for depth := maxPieces; t.nodes > t.max/2 && depth >= 0; depth-- {
		t.root.close(depth)
		t.nodes = t.root.count()
	}
}

// tidy folds words that are many and have each a small share of the keys of their place.
func (t *prefixTree) tidy() {
	t.root.tidy(true)
	t.nodes = t.root.count()
}

func (n *prefixNode) tidy(root bool) {
	words := 0
	for e := range n.children {
		if !e.star {
			words++
		}
	}
	if words > manyChildren {
		all := n.keys()
		n.fold(func(e edge, c *prefixNode) bool {
			if root && (len(c.children) > 0 || e.general().text != "") {
				return false // the names of families of keys: only whole keys are folded at the top
			}
			return c.keys()*100 < all
		})
	}
	n.joinNumbered()
	for _, c := range n.children {
		c.tidy(false)
	}
}

// joinNumbered puts user1 and user42, which could be names as v1 and v2 are, to user* where that is there.
func (n *prefixNode) joinNumbered() {
	for _, e := range slices.Collect(maps.Keys(n.children)) {
		general := e.general()
		word := e.text[:len(e.text)-len(general.text)]
		letters := lettersBefore(word)
		if e.star || letters == 0 || letters == len(word) {
			continue
		}
		to := n.children[edge{text: word[:letters]}]
		if to == nil || to.children[general] == nil {
			continue
		}
		c := n.children[e]
		delete(n.children, e)
		to.children[general].merge(c)
	}
}

func (n *prefixNode) foldLight(least int64) {
	n.fold(func(_ edge, c *prefixNode) bool { return c.keys() < least })
	for _, c := range n.children {
		c.foldLight(least)
	}
}

// close makes one star of all that lies deeper.
func (n *prefixNode) close(depth int) {
	if depth > 0 {
		for _, c := range n.children {
			c.close(depth - 1)
		}
		return
	}
	if len(n.children) == 0 {
		return
	}
	sum := &sums{}
	for _, c := range n.children {
		c.each("", func(_ string, s *sums) { sum.add(*s) })
	}
	n.closed = true
	n.children = map[edge]*prefixNode{{star: true}: {sums: sum}}
}

// each calls fn for each group below, with its glob.
func (n *prefixNode) each(glob string, fn func(glob string, s *sums)) {
	if n.sums != nil && n.sums.keys() > 0 {
		fn(glob, n.sums)
	}
	for e, c := range n.children {
		c.each(glob+e.glob(), fn)
	}
}

// groups returns the groups by their globs, sorted by glob.
func (t *prefixTree) groups() []prefixGroup {
	t.tidy()
	byGlob := map[string]*sums{}
	t.root.each("", func(glob string, s *sums) {
		for strings.Contains(glob, "**") && !strings.Contains(glob, `\`) {
			glob = strings.ReplaceAll(glob, "**", "*")
		}
		if byGlob[glob] == nil {
			byGlob[glob] = &sums{}
		}
		byGlob[glob].add(*s)
	})
	out := make([]prefixGroup, 0, len(byGlob))
	for glob, s := range byGlob {
		out = append(out, prefixGroup{glob: glob, sums: *s})
	}
	slices.SortFunc(out, func(a, b prefixGroup) int { return cmp.Compare(a.glob, b.glob) })
	return out
}
