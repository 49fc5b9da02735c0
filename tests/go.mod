module github.com/stilelock/stile/tests

go 1.26.0

require (
	github.com/stilelock/stile v0.0.0
	pgregory.net/rapid v1.3.0
)

replace github.com/stilelock/stile => ../
