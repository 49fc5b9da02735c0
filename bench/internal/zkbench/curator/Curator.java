// Runs Apache Curator's InterProcessMutex for the benchmark, with the same work that the Go libraries are given.
//
// It takes one request a line on standard input (a work's name, then name=value words) and answers with lines on
// standard output: "step NAME" when it has come to a point at which the benchmark reads its counters, upon which it
// waits for the line "go"; then "result JSON" or "failed WHY". It ends with its standard input. All times are
// nanoseconds.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.retry.ExponentialBackoffRetry;

public final class Curator {
    private static final int SESSION_MS = 15_000;
    private static final int CONNECT_MS = 15_000; // Curator's default
    private static final BufferedReader in = new BufferedReader(new InputStreamReader(System.in));

    // What one thread did.
    private static final class Worker {
        final List<Long> waits = new ArrayList<>();
        long unfinished;
        Exception failed;
    }

    private final Map<String, String> words = new HashMap<>();
    private final List<CuratorFramework> clients = new ArrayList<>();
    private final List<Thread> threads = new ArrayList<>();
    private final AtomicInteger inside = new AtomicInteger();
    private final AtomicInteger overlaps = new AtomicInteger();
    private final AtomicInteger changes = new AtomicInteger();
    private final AtomicReference<Worker> last = new AtomicReference<>();
    private String result;

    public static void main(String[] args) throws Exception {
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Curator run = new Curator();
            String answer;
            try {
                run.work(line);
                answer = run.result;
            } catch (Exception e) {
                answer = "failed " + e.toString().replace('\n', ' ');
            }
            run.clients.parallelStream().forEach(CuratorFramework::close);
            say(answer);
        }
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    // Waits until the benchmark has read its counters.
    private static void step(String name) throws Exception {
        say("step " + name);
        String line = in.readLine();
        if (!"go".equals(line)) {
            throw new IllegalStateException("told \"" + line + "\" after step " + name);
        }
    }

    private void work(String line) throws Exception {
        String[] parts = line.split(" ");
        for (int i = 1; i < parts.length; i++) {
            String[] pair = parts[i].split("=", 2);
            words.put(pair[0], pair[1]);
        }
        for (int i = 0; i < number("clients"); i++) {
            CuratorFramework client = CuratorFrameworkFactory.newClient(
                    words.get("addr"), SESSION_MS, CONNECT_MS, new ExponentialBackoffRetry(1000, 3));
            clients.add(client);
            client.start();
            if (!client.blockUntilConnected(CONNECT_MS, TimeUnit.MILLISECONDS)) {
                throw new IllegalStateException("no connection within " + CONNECT_MS + " ms");
            }
        }
        switch (parts[0]) {
            case "uncontended": uncontended(); break;
            case "contended": contended(); break;
            case "handover": handOver(); break;
            case "idle": idle(); break;
            case "line": line(); break;
            default: throw new IllegalArgumentException("unknown work " + parts[0]);
        }
    }

    private int number(String name) {
        return Integer.parseInt(words.get(name));
    }

    private InterProcessMutex lock(int client, String suffix) {
        return new InterProcessMutex(clients.get(client % clients.size()), words.get("key") + suffix);
    }

    private void start(Runnable body) {
        Thread thread = new Thread(body);
        threads.add(thread);
        thread.start();
    }

    private void join() throws Exception {
        for (Thread thread : threads) {
            thread.join();
        }
        threads.clear();
    }

    private static long cpu() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    private static void check(List<Worker> workers) throws Exception {
        for (Worker w : workers) {
            if (w.failed != null) {
                throw w.failed;
            }
        }
    }

    private void result(long took, long cpu, List<Worker> workers) {
        StringBuilder waits = new StringBuilder();
        StringBuilder counts = new StringBuilder();
        long longest = 0;
        for (Worker w : workers) {
            counts.append(counts.length() > 0 ? "," : "").append(w.waits.size());
            longest = Math.max(longest, w.unfinished);
            for (long wait : w.waits) {
                waits.append(waits.length() > 0 ? "," : "").append(wait);
                longest = Math.max(longest, wait);
            }
        }
        result = "result {\"took\":" + took + ",\"cpu\":" + cpu + ",\"longest\":" + longest + ",\"changes\":" + changes.get()
                + ",\"overlaps\":" + overlaps.get() + ",\"counts\":[" + counts + "],\"waits\":[" + waits + "]}";
    }

    // Each worker takes and gives back a key of its own for so many milliseconds.
    private void uncontended() throws Exception {
        pairs(number("warm"));
        System.gc();
        step("begin");
        long cpu = cpu();
        long began = System.nanoTime();
        List<Worker> workers = pairs(number("millis"));
        long took = System.nanoTime() - began;
        cpu = cpu() - cpu;
        step("end");
        result(took, cpu, workers);
    }

    private List<Worker> pairs(long millis) throws Exception {
        List<Worker> workers = new ArrayList<>();
        long began = System.nanoTime();
        for (int i = 0; i < number("workers"); i++) {
            Worker w = new Worker();
            workers.add(w);
            InterProcessMutex lock = lock(i, "-" + i);
            start(() -> {
                try {
                    for (long at = began; at - began < millis * 1_000_000; ) {
                        lock.acquire();
                        lock.release();
                        long now = System.nanoTime();
                        w.waits.add(now - at);
                        at = now;
                    }
                } catch (Exception e) {
                    w.failed = e;
                }
            });
        }
        join();
        check(workers);
        return workers;
    }

    // All clients want one key; each releases it at once and comes back at once.
    private void contended() throws Exception {
        List<Worker> workers = new ArrayList<>();
        List<InterProcessMutex> locks = new ArrayList<>();
        for (int i = 0; i < clients.size(); i++) {
            InterProcessMutex warm = lock(i, "-warm-" + i);
            warm.acquire();
            warm.release();
            workers.add(new Worker());
            locks.add(lock(i, ""));
        }
        long duration = number("millis") * 1_000_000L;
        System.gc();
        step("begin");
        long cpu = cpu();
        long began = System.nanoTime();
        for (int i = 0; i < workers.size(); i++) {
            Worker w = workers.get(i);
            InterProcessMutex lock = locks.get(i);
            start(() -> fight(w, lock, began, duration));
        }
        Thread.sleep(number("millis"));
        cpu = cpu() - cpu;
        step("end");
        join();
        check(workers);
        result(duration, cpu, workers);
    }

    private void fight(Worker w, InterProcessMutex lock, long began, long duration) {
        try {
            while (System.nanoTime() - began < duration) {
                long called = System.nanoTime();
                lock.acquire();
                long granted = System.nanoTime();
                if (inside.incrementAndGet() != 1) {
                    overlaps.incrementAndGet();
                }
                if (granted - began > duration) {
                    w.unfinished = Math.max(began + duration - called, 0);
                } else {
                    w.waits.add(granted - called);
                    Worker before = last.getAndSet(w);
                    if (before != null && before != w) {
                        changes.incrementAndGet();
                    }
                }
                inside.decrementAndGet();
                lock.release();
            }
        } catch (Exception e) {
            w.failed = e;
        }
    }

    // Two clients: one holds, the other waits; from the call of release to the other's return from acquire. Who has
    // released comes back only when the other has it.
    private void handOver() throws Exception {
        Worker all = new Worker();
        AtomicLong released = new AtomicLong();
        AtomicBoolean over = new AtomicBoolean();
        CountDownLatch held = new CountDownLatch(1);
        Semaphore grants = new Semaphore(0);
        step("begin");
        long began = System.nanoTime();
        for (int i = 0; i < 2; i++) {
            InterProcessMutex lock = lock(i, "");
            boolean first = i == 0;
            start(() -> {
                try {
                    if (!first) {
                        held.await();
                    }
                    while (true) {
                        lock.acquire();
                        long granted = System.nanoTime();
                        if (inside.incrementAndGet() != 1) {
                            overlaps.incrementAndGet();
                        }
                        if (released.get() != 0) {
                            all.waits.add(granted - released.get());
                            grants.release();
                        }
                        held.countDown();
                        boolean end = over.get();
                        if (!end) {
                            Thread.sleep(ThreadLocalRandom.current().nextLong(20, 60));
                            over.set(System.nanoTime() - began > number("millis") * 1_000_000L);
                            end = over.get();
                        }
                        inside.decrementAndGet();
                        released.set(System.nanoTime());
                        lock.release();
                        if (end) {
                            return;
                        }
                        grants.acquire();
                    }
                } catch (Exception e) {
                    all.failed = e;
                    held.countDown();
                    grants.release(2);
                }
            });
        }
        join();
        long took = System.nanoTime() - began;
        step("end");
        check(List.of(all));
        result(took, 0, List.of(all));
    }

    // The first client holds, all others wait, and nothing happens.
    private void idle() throws Exception {
        InterProcessMutex held = lock(0, "");
        held.acquire();
        AtomicInteger granted = new AtomicInteger();
        List<Worker> workers = new ArrayList<>();
        for (int i = 1; i <= number("waiters"); i++) {
            Worker w = new Worker();
            workers.add(w);
            InterProcessMutex lock = lock(i, "");
            start(() -> {
                try {
                    lock.acquire();
                    granted.incrementAndGet();
                    lock.release();
                } catch (Exception e) {
                    w.failed = e;
                }
            });
        }
        Thread.sleep(number("settle"));
        step("begin");
        Thread.sleep(number("millis"));
        step("end");
        int early = granted.get();
        held.release();
        join();
        check(workers);
        if (early > 0) {
            throw new IllegalStateException(early + " waiters were granted while the key was held");
        }
        result(number("millis") * 1_000_000L, 0, workers);
    }

    // Many threads wait for one key, and then all are served.
    private void line() throws Exception {
        InterProcessMutex held = lock(0, "");
        held.acquire();
        int n = number("waiters");
        CountDownLatch pause = new CountDownLatch(number("pause"));
        CountDownLatch resume = new CountDownLatch(1);
        List<Worker> workers = new ArrayList<>();
        step("begin");
        for (int i = 0; i < n; i++) {
            Worker w = new Worker();
            workers.add(w);
            InterProcessMutex lock = lock(i, "");
            start(() -> {
                try {
                    lock.acquire();
                    if (inside.incrementAndGet() != 1) {
                        overlaps.incrementAndGet();
                    }
                    w.waits.add(0L);
                    pause.countDown();
                    if (pause.getCount() == 0) {
                        resume.await();
                    }
                    inside.decrementAndGet();
                    lock.release();
                } catch (Exception e) {
                    w.failed = e;
                    pause.countDown();
                }
            });
        }
        step("joined");
        long began = System.nanoTime();
        held.release();
        pause.await();
        long stopped = System.nanoTime();
        step("paused");
        long resumed = System.nanoTime();
        resume.countDown();
        join();
        check(workers);
        result(System.nanoTime() - began - (resumed - stopped), 0, workers);
    }
}
