package servers

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A server that is not what the tests are about would make them prove nothing.
func TestAServerOfTheOtherKindIsRefused(t *testing.T) {
	my, err := sharedMySQL(t.Context())
	require.NoError(t, err)
	maria, err := sharedMariaDB(t.Context())
	require.NoError(t, err)
	for _, c := range []struct {
		kind mysqlKind
		dsn  string
		says string
	}{
		{mysqlServer, maria, "MySQL is wanted, and the server is MariaDB "},
		{mariaDBServer, my, "MariaDB is wanted, and the server is MySQL "},
	} {
		t.Setenv(c.kind.dsn, c.dsn)
		_, _, err := c.kind.bringUp(t.Context())
		require.ErrorContains(t, err, c.says)
		require.ErrorContains(t, err, c.kind.dsn)
	}
	require.ErrorContains(t, mariaDBServer.mustBe(t.Context(), maria, "5.5"), "the image says MariaDB 5.5")
}
