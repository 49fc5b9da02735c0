module github.com/stilelock/stile/examples

go 1.26.0

require (
	github.com/stilelock/stile v0.0.0
	github.com/stilelock/stile/redislock v0.0.0
	github.com/stilelock/stile/zklock v0.0.0
)

require (
	github.com/redis/rueidis v1.0.79 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace github.com/stilelock/stile => ../

replace github.com/stilelock/stile/redislock => ../redislock

replace github.com/stilelock/stile/zklock => ../zklock
