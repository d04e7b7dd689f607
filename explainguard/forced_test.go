package explainguard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// MySQL says 1 row for a range of a forced index.
func TestForcedIndex(t *testing.T) {
	db := shop.open(t, nil)
	for query, want := range map[string]explainguard.Verdict{
		"SELECT * FROM items FORCE INDEX (ix_order) WHERE order_id < 1000 AND qty > 2":                                   explainguard.Unanalysable,
		"SELECT /*+ INDEX(items ix_order) */ * FROM items WHERE order_id < 1000 AND qty > 2":                             explainguard.Unanalysable,
		"SELECT id FROM notes WHERE id = 3 UNION ALL SELECT id FROM items FORCE INDEX (ix_order) WHERE order_id < 1000":  explainguard.Pass, // 2,997 rows: only a lone table is not estimated
		"SELECT * FROM items USE INDEX (ix_order) WHERE order_id < 1000 AND qty > 2":                                     explainguard.Pass,
		"SELECT * FROM items FORCE INDEX (ix_order) WHERE order_id = 7 AND qty > 2":                                      explainguard.Pass,
		"SELECT * FROM items FORCE INDEX (ix_product) WHERE product_id IN (3, 4, 5) AND qty > 2":                         explainguard.Pass,
		"SELECT i.id FROM items i FORCE INDEX (ix_order) JOIN products p ON p.id = i.product_id WHERE i.order_id < 1000": explainguard.Pass,
	} {
		for _, format := range []explainguard.Format{explainguard.FormatUnknown, explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
			r, err := (&explainguard.Guard{DB: db, Format: format}).Check(t.Context(), query)
			require.NoError(t, err)
			require.Equal(t, want, r.Verdict, "%s\n%s", query, r)
		}
	}
}
