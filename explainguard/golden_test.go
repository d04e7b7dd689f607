package explainguard_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// inDir works in an empty directory, where golden files may come and go.
func inDir(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
}

func setUpdate(t *testing.T, value string) {
	t.Helper()
	require.NoError(t, flag.Set("explainguard.update", value))
	t.Cleanup(func() { _ = flag.Set("explainguard.update", "false") })
}

func TestGolden(t *testing.T) {
	g := &explainguard.Guard{DB: shop.open(t, nil)}
	inDir(t)
	const byCustomer = "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.customer_id = ? ORDER BY o.total"
	said := func(name, query string, args ...any) []string {
		fake := &fakeT{TB: t}
		g.Golden(fake, name, query, args...)
		return fake.errors
	}

	missing := said("orders", byCustomer, 3)
	require.Len(t, missing, 1, "a plan that nobody has looked at is no pass")
	require.Contains(t, missing[0], "no plan is kept in "+filepath.FromSlash("testdata/explainguard/orders.plan")+" yet")
	require.Contains(t, missing[0], "go test -explainguard.update")

	setUpdate(t, "true")
	require.Empty(t, said("orders", byCustomer, 3))
	require.Empty(t, said("深い/注文", "SELECT * FROM customers"))
	twice := said("orders", "SELECT * FROM customers")
	require.Len(t, twice, 1)
	require.Contains(t, twice[0], "two plans of this run have the same name")
	setUpdate(t, "false")

	text, err := os.ReadFile("testdata/explainguard/orders.plan")
	require.NoError(t, err)
	require.Equal(t, "# "+byCustomer+`
main query
  c (customers): const
  sort
    o (orders): index lookup ix_customer (customer_id)
`, string(text))
	require.Empty(t, said("orders", byCustomer, 3))
	require.Empty(t, said("orders", byCustomer, 4), "another value, the same shape")

	changed := said("orders", byCustomer[:len(byCustomer)-len(" ORDER BY o.total")], 3)
	require.Len(t, changed, 1)
	require.Contains(t, changed[0], "the plan changed")
	require.Contains(t, changed[0], "\n-  sort\n")

	for _, name := range []string{"", "../up", "/abs", "a//b", "a/../b", ".hidden", "a\nb"} {
		require.Contains(t, said(name, byCustomer, 3)[0], "cannot be a file's", name)
	}
	gone := said("orders", "SELECT * FROM no_such_table")
	require.Contains(t, gone[0], "there is no plan to compare")
	collapsed := said("orders", "SELECT * FROM customers WHERE id = -1")
	require.Contains(t, collapsed[0], "there is no plan to compare", "a collapsed plan is never kept")
}

func TestShapeHoldsNoFigures(t *testing.T) {
	p, err := explainguard.Parse(plans(t)["bad.v2"])
	require.NoError(t, err)
	require.Equal(t, `main query
  customers: index range PRIMARY (id)
  st: index lookup <auto_key0> (customer_id)
    derived table st
      hash join
        c (customers): index lookup ix_tenant (tenant_id)
        p (pages): index range ix_tenant (tenant_id, id)
      r (reservations): index lookup ix_customer (customer_id)
`, p.Shape())
	require.Empty(t, (*explainguard.Plan)(nil).Shape())
}
