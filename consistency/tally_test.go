package consistency

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// seen makes a full look that shows these keys, written as "a b c"; more is what a cap left out.
func seen(keys string, more int64) look {
	l := look{}
	for _, k := range strings.Fields(keys) {
		l.found = append(l.found, Violation{Key: k})
	}
	l.total = int64(len(l.found)) + more
	return l
}

func asked(keys string) look {
	l := seen(keys, 0)
	l.asked = true
	return l
}

func TestTally(t *testing.T) {
	for _, c := range []struct {
		name      string
		looks     []look
		want      Outcome
		convicted string
		atLeast   bool
		healed    int64
	}{
		{"no look", nil, Unknown, "", false, 0},
		{"nothing found", []look{seen("", 0)}, Consistent, "", false, 0},
		{"one look convicts at once", []look{seen("a b", 0)}, Inconsistent, "a b", false, 0},
		{"in every look", []look{seen("a b", 0), seen("b a", 0), seen("a b", 0)}, Inconsistent, "a b", false, 0},
		{"all healed", []look{seen("a b", 0), seen("", 0)}, Consistent, "", false, 2},
		{"one healed, one stays", []look{seen("a b", 0), seen("b", 0), seen("b", 0)}, Inconsistent, "b", false, 1},
		{"fresh rows each time", []look{seen("a", 0), seen("b", 0), seen("c", 0)}, Consistent, "", false, 1},
		{"a newcomer is not convicted", []look{seen("a", 0), seen("a b", 0), seen("a b", 0)}, Inconsistent, "a", false, 0},
		{"flapping heals in a complete look", []look{seen("a", 0), seen("", 0), seen("a", 0)}, Consistent, "", false, 1},

		{"recheck keeps", []look{seen("a b", 0), asked("a b"), asked("a")}, Inconsistent, "a", false, 1},
		{"recheck heals all", []look{seen("a b", 0), asked("")}, Consistent, "", false, 2},
		{"recheck may not add", []look{seen("a", 0), asked("a z")}, Inconsistent, "a", false, 0},

		{"capped: those seen every time, and perhaps more", []look{seen("a b", 5), seen("a b", 5)}, Inconsistent, "a b", true, 0},
		{"capped: another sample says nothing", []look{seen("a", 5), seen("b", 5)}, Unknown, "", false, 0},
		{"capped with nothing kept", []look{seen("", 5), seen("", 5)}, Unknown, "", false, 0},
		{"capped, then complete: new keys may be old ones", []look{seen("a", 5), seen("b", 0)}, Unknown, "", false, 1},
		{"capped, then complete and empty", []look{seen("a", 5), seen("", 0)}, Consistent, "", false, 1},
		{"capped, complete, gone", []look{seen("a", 5), seen("b", 0), seen("", 0)}, Consistent, "", false, 2},
		{"complete, then capped without it", []look{seen("a", 0), seen("z", 5)}, Unknown, "", false, 0},
		{"complete, then capped with one of two", []look{seen("a b", 0), seen("a", 5)}, Inconsistent, "a", true, 0},
		{"complete, capped without it, complete without it", []look{seen("a", 0), seen("z", 5), seen("", 0)}, Consistent, "", false, 1},
		{"doubt stays doubt", []look{seen("a", 0), seen("z", 5), seen("a", 0)}, Unknown, "", false, 0},
		{"capped, then rechecked", []look{seen("a b", 5), asked("a")}, Inconsistent, "a", true, 1},
		{"capped, then all suspects healed", []look{seen("a b", 5), asked("")}, Unknown, "", false, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tally tally
			for _, l := range c.looks {
				tally.add(l)
			}
			v := tally.verdict()
			require.Equal(t, c.want, v.outcome)
			var keys []string
			for _, x := range v.convicted {
				keys = append(keys, x.Key)
			}
			require.Equal(t, c.convicted, strings.Join(keys, " "))
			require.Equal(t, c.atLeast, v.atLeast)
			require.Equal(t, c.healed, tally.healed.Rows)
		})
	}
}

// Whatever the looks show: a key is convicted only if every look shows it, and Consistent is said only if no key can have been in all of them.
func TestTallyHoldsForEverySequenceOfLooks(t *testing.T) {
	// Three keys, each wrong or not in each of three looks; each look keeps all, or the first, or the last of what is wrong.
	for truth := range 1 << 9 {
		for caps := range 27 {
			var tally tally
			var always [3]bool
			shown := [3]int{}
			for k := range always {
				always[k] = true
			}
			c := caps
			for n := range 3 {
				var l look
				for k := range 3 {
					if truth>>(3*n+k)&1 == 1 {
						l.found = append(l.found, Violation{Key: string(rune('a' + k))})
						l.total++
					} else {
						always[k] = false
					}
				}
				if kind := c % 3; kind > 0 && len(l.found) > 1 {
					if kind == 1 {
						l.found = l.found[:1]
					} else {
						l.found = l.found[len(l.found)-1:]
					}
				}
				c /= 3
				for _, v := range l.found {
					shown[v.Key[0]-'a']++
				}
				tally.add(l)
			}
			v := tally.verdict()
			anyAlways := always[0] || always[1] || always[2]
			if v.outcome == Consistent {
				require.False(t, anyAlways, "false green: truth %09b caps %d", truth, caps)
			}
			for _, x := range v.convicted {
				require.True(t, always[x.Key[0]-'a'], "false conviction: truth %09b caps %d", truth, caps)
			}
			if v.outcome == Inconsistent && !v.atLeast {
				for k := range always {
					require.Equal(t, always[k], shown[k] == 3, "a count that is said to be exact is not: truth %09b caps %d", truth, caps)
				}
			}
		}
	}
}

func TestTallySaysHowLongHealingTook(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	first, second, third := seen("a b", 0), seen("b", 0), seen("", 0)
	first.start, first.end = at(0), at(1)
	second.start, second.end = at(10), at(12)
	third.start, third.end = at(30), at(33)
	var tally tally
	tally.add(first)
	tally.add(second)
	require.Equal(t, Healed{Rows: 1, Longest: 12 * time.Second}, tally.healed)
	require.False(t, tally.settled())
	tally.add(third)
	require.Equal(t, Healed{Rows: 2, Longest: 33 * time.Second}, tally.healed)
	require.True(t, tally.settled())
}
