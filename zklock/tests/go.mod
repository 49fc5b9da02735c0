module github.com/stilelock/stile/zklock/tests

go 1.26.0

require (
	github.com/go-zookeeper/zk v1.0.4
	github.com/stilelock/stile v0.0.0
	github.com/stilelock/stile/zklock v0.0.0
)

replace (
	github.com/stilelock/stile => ../../
	github.com/stilelock/stile/zklock => ../
)
