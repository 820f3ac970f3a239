using System.Diagnostics;

namespace ProxyTune.Load;

/// <summary>Sends requests in a closed or an open loop.</summary>
internal static class Loops
{
    /// <summary>Closed loop: each client sends its next request after it has read the answer to the last one.</summary>
    public static async Task<LoadResult[]> ClosedAsync(HttpClient http, LoadPlan plan, int clients, TimeSpan duration)
    {
        Client client = new(http, Stopwatch.GetTimestamp());
        int sent = -1;
        LoadResult[][] results = await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            List<LoadResult> own = [];
            while (client.Now() < duration.TotalSeconds)
            {
                own.Add(await client.SendAsync(plan.Request(Interlocked.Increment(ref sent)), client.Now()));
            }

            return own.ToArray();
        }));
        return [.. results.SelectMany(own => own)];
    }

    /// <summary>Open loop: requests arrive at random (a Poisson process), whether or not the server keeps up.</summary>
    /// <param name="rate">Mean number of requests per second.</param>
    public static async Task<LoadResult[]> OpenAsync(HttpClient http, LoadPlan plan, double rate, TimeSpan duration)
    {
        Random random = new(plan.Seed);
        Client client = new(http, Stopwatch.GetTimestamp());
        List<Task<LoadResult>> running = [];
        for (double due = Pause(); due < duration.TotalSeconds; due += Pause())
        {
            TimeSpan wait = TimeSpan.FromSeconds(due - client.Now());
            if (wait > TimeSpan.Zero)
            {
                await Task.Delay(wait);
            }

            running.Add(client.SendAsync(plan.Request(running.Count), due));
        }

        return await Task.WhenAll(running);

        // Arrivals of a Poisson process have exponential pauses.
        double Pause() => -Math.Log(1 - random.NextDouble()) / rate;
    }
}
