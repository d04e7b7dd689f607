package explainguard

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestColumnsInConditions(t *testing.T) {
	for text, want := range map[string][]columnRef{
		"(`d`.`t`.`code` = 7)":                      {{"t", "code"}},
		"(typed.`code` = 7)":                        {{"typed", "code"}},
		"(a.x = b.y)":                               {{"a", "x"}, {"b", "y"}},
		"(a.x in ('b.y',\"c.z\",'it''s d.q'))":      {{"a", "x"}},
		"(1.5e3 < a.x)":                             {{"a", "x"}},
		"(a.x between 1 and (a.x + 2.5))":           {{"a", "x"}},
		"<hash>(n.body)=<hash>(`<subquery2>`.sku)":  {{"n", "body"}, {"<subquery2>", "sku"}},
		"(`d`.`顧客 ``表`.`部署` = 顧客.部署)":               {{"顧客 `表", "部署"}, {"顧客", "部署"}},
		"(a$b.c$d = 3)":                             {{"a$b", "c$d"}},
		"customer_id = 7":                           nil,
		"<if>(is_not_null_compl(p), (p.a = n.b), t": {{"p", "a"}, {"n", "b"}},
		"a.":  nil,
		"`a":  nil,
		".":   nil,
		"":    nil,
		"'":   nil,
		"a.b": {{"a", "b"}},
	} {
		require.Equal(t, want, columnsIn(text), text)
	}
}

func TestHashKeysOfConditions(t *testing.T) {
	n, p, c := &Node{Op: OpAccess, Alias: "n"}, &Node{Op: OpAccess, Alias: "p"}, &Node{Op: OpAccess, Alias: "c"}
	left := &Node{Op: OpJoin, Inputs: []*Node{n, c}}
	for text, keys := range map[string]int{
		"(`d`.`p`.`sku` = `d`.`n`.`body`)":                              1,
		"((`p`.`sku` = `n`.`body`) and ((`p`.`price` + `n`.`id`) > 5))": 1,
		"((`p`.`sku` = `n`.`body`) and (`c`.`x` = `p`.`y`))":            2,
		"((`p`.`sku` = `n`.`body`) or (`p`.`price` = `n`.`id`))":        0,
		"(not((`p`.`sku` = `n`.`body`)))":                               0,
		"((`p`.`price` * 2) = (`n`.`id` * 3))":                          1,
		"((`p`.`price` + `n`.`id`) = 7)":                                0,
		"(`p`.`price` = (`p`.`x` + `n`.`id`))":                          0,
		"(`p`.`price` = 7)":                                             0,
		"(`n`.`id` = `c`.`id`)":                                         0,
		"(`p`.`price` <=> `n`.`id`)":                                    1,
		"(`p`.`price` < `n`.`id`)":                                      0,
		"<if>(is_not_null_compl(p), (`p`.`sku` = `n`.`body`), true)":    1,
		"(<if>(found_match(p), (`p`.`x` is null), true) and <if>(is_not_null_compl(p), ((`p`.`sku` = `n`.`body`) and true), true))": 1,
		"((`p`.`d` between 1 and 2) and (`p`.`sku` = `n`.`body`))":                                                                  1,
		"(cast(`n`.`id` as double) = cast(`p`.`code` as double))":                                                                   1,
		"(`p`.`sku` = ' and (`n`.`body` = `p`.`x`) ')":                                                                              0,
		"": 0,
	} {
		require.Len(t, hashKeys([]string{text}, left, p), keys, text)
	}
}

func TestPlainConditions(t *testing.T) {
	for text, want := range map[string]string{
		"(`d`.`t`.`code` = 7)":                    "t.code = 7",
		"((`d`.`t`.`a` = 1) and (`t`.`b` = 2))":   "(t.a = 1) and (t.b = 2)",
		"(typed.`code` = '`x`.`y`')":              "typed.code = '`x`.`y`'",
		"(`d`.`注文`.`数` = 0.5)":                    "注文.数 = 0.5",
		"(t.x = 1e5)":                             "t.x = 1e5",
		"(" + strings.Repeat("a", 300) + ".b = 1": "",
	} {
		if want == "" {
			require.LessOrEqual(t, len([]rune(plain(text))), 100)
			continue
		}
		require.Equal(t, want, plain(text))
	}
}

func TestLockingReads(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT 1 FROM t FOR UPDATE":                                  "SELECT … FOR UPDATE",
		"select 1 from t for /* x */ share nowait":                    "SELECT … FOR SHARE",
		"SELECT 1 FROM t LOCK IN SHARE MODE":                          "SELECT … LOCK IN SHARE MODE",
		"SELECT 1 FROM t WHERE x = ' FOR UPDATE'":                     "",
		"SELECT 1 FROM t -- FOR UPDATE":                               "",
		"SELECT 1 FROM (SELECT 2 FROM u FOR UPDATE) t":                "",
		"SELECT `for`, `update` FROM t":                               "",
		"WITH x AS (SELECT 1) SELECT * FROM x JOIN t FOR UPDATE OF t": "SELECT … FOR UPDATE",
		"": "",
	} {
		clause, _ := lockingRead(query)
		require.Equal(t, want, clause, query)
	}
	_, only := lockingRead("SELECT 1 FROM t a JOIN `u v` b FOR UPDATE OF a, `b` SKIP LOCKED")
	require.Equal(t, []string{"a", "b"}, only)
}

// FuzzConditionText: whatever a server prints, reading it ends, without a panic.
func FuzzConditionText(f *testing.F) {
	for _, s := range []string{"(`a`.`b` = 1)", "<if>(x, (a.b = c.d), true)", "((a.b = 1) and (c between 2 and 3))", "'", "`", "((((", "a.b.c.d.", "IN (1, (2", "/*"} {
		f.Add(s)
	}
	a, b := &Node{Alias: "a"}, &Node{Alias: "c"}
	f.Fuzz(func(t *testing.T, text string) {
		for _, ref := range columnsIn(text) {
			require.True(t, ref.column != "" || strings.Contains(text, "``"), text)
		}
		require.LessOrEqual(t, len([]rune(plain(text))), 100)
		hashKeys([]string{text}, a, b)
		longestList(&Plan{Query: text}, 0)
		lockingRead(text)
		conversionCause(text, "a", "b")
	})
}
