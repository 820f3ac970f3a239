using System.Runtime.CompilerServices;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Serving;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Serving;

/// <summary>Tests models that are served and retired while requests run.</summary>
public sealed class HotServingTests : IAsyncLifetime, IDisposable
{
    private const int Tokens = 12;

    private readonly TinyFamily family = new();
    private readonly TestUploads uploads = new();
    private readonly ModelHost catalog;
    private readonly DecodeScheduler scheduler;
    private readonly HotServing hot;

    public HotServingTests()
    {
        catalog = ModelHost.Load(family.Folder, new EngineOptions(), uploads);
        scheduler = new(catalog.Ensemble, new());
        hot = new(catalog, scheduler);
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await scheduler.DisposeAsync();

    public void Dispose()
    {
        hot.Dispose();
        catalog.Dispose();
        family.Dispose();
    }

    [Fact]
    public async Task ServeAsync_PatchOnABase_AnswersLikeTheMergedModel()
    {
        int[] before = await AnswerAsync(TinyFamily.Plain);
        await ServeAsync("alice", seed: 1);

        Assert.Equal(await MergedAsync(("alice", 1)), await AnswerAsync("alice"));
        Assert.NotEqual(before, await AnswerAsync("alice"));
        Assert.Equal(before, await AnswerAsync(TinyFamily.Plain));
        Assert.Contains("alice", catalog.Models.Select(model => model.Name));
    }

    [Fact]
    public async Task ServeAsync_PatchesOfTheBaseAndAnExpert_AllChangeTheAnswer()
    {
        Upload("one", seed: 1);
        Upload("two", seed: 2);
        Upload("expert", seed: 3, TinyFamily.AntiExpert);
        await hot.ServeAsync(new()
        {
            Name = "both",
            Base = new(TinyFamily.Base),
            Patches = [new() { Patch = "one", Weight = 0.7 }, new() { Patch = "two", Weight = -0.4 }],
            Method = "proxy",
            Experts = [new() { Name = "e", Model = TinyFamily.AntiExpert, AntiExpert = TinyFamily.AntiExpert, Patches = [new() { Patch = "expert" }] }],
            Prompts = Plainly,
        });

        int[] answer = await AnswerAsync("both");
        Assert.Equal(await AnswerAsync("both"), answer);
        Assert.Equal(await MergedAsync(("one", 0.7), ("two", -0.4)), await AnswerAsync("both", new AskedFusion { Alpha = 0 }));
        Assert.NotEqual(await AnswerAsync("both", new AskedFusion { Alpha = 0 }), answer);
    }

    [Fact]
    public async Task RetireAsync_RequestIsRunning_FreesItsPatchAtTheEnd()
    {
        await ServeAsync("alice", seed: 1);
        int[] expected = await AnswerAsync("alice");
        ServedModel model = catalog.Get("alice");
        (IDisposable use, GenerationStream running) = (model.Use(), Submit("alice", 100));
        await running.Tokens.ReadAsync();
        Task freed = await hot.RetireAsync("alice", () => { });

        Assert.Throws<EngineException>(() => catalog.Get("alice"));
        Assert.False(freed.IsCompleted);
        List<GeneratedToken> rest = await ReadAsync(running);
        Assert.Equal(expected[1..], rest.Take(Tokens - 1).Select(token => token.Id));
        use.Dispose();
        await freed.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Throws<EngineException>(model.Use);
        Assert.Equal(0, catalog.Patches.Statistics.Count);
    }

    [Fact]
    public async Task RetireAsync_LastRequestHasEnded_FreesThePatch()
    {
        WeakReference patch = await ServeAndRetireAsync();
        for (int i = 0; i < 20 && patch.IsAlive; i++)
        {
            // The last step may still hold its patches.
            await AnswerAsync(TinyFamily.Plain);
            GC.Collect();
        }

        Assert.False(patch.IsAlive);
    }

    [Fact]
    public async Task ServeAsync_MorePatchesThanMayBeResident_EvictsTheLeastRecentlyUsed()
    {
        await ServeAsync("p0", seed: 1);
        _ = await AnswerAsync("p0");
        long size = catalog.Patches.Statistics.Bytes;
        await using DecodeScheduler none = new(catalog.Ensemble, new());
        using ModelHost small = ModelHost.Load(family.Folder, new() { PatchBytes = (3 * size) + 1 }, uploads);
        await using DecodeScheduler own = new(small.Ensemble, new());
        using HotServing serving = new(small, own);
        string[] names = [.. Enumerable.Range(0, 8).Select(i => $"p{i}")];
        foreach ((int i, string name) in names.Index())
        {
            Upload(name, seed: i + 1);
            await serving.ServeAsync(Entry(name));
        }

        // Serving reads no weights. The first request reads the patch.
        Assert.Equal(0, small.Patches.Statistics.Loads);
        int[][] first = await Task.WhenAll(names.Select(name => AnswerAsync(own, small, name)));
        int[][] again = await Task.WhenAll(names.Select(name => AnswerAsync(own, small, name)));
        Assert.Equal(first, again);
        ResidentPatchStatistics resident = small.Patches.Statistics;
        Assert.True(resident.Count <= 3 && resident.Bytes <= resident.Limit, $"{resident}");
        Assert.Equal(resident.Loads - resident.Count, resident.Evictions);
        Assert.True(resident.Loads > 8, $"{resident}");
        Assert.Equal(resident.Loads + 1, uploads.Verified);

        _ = await AnswerAsync(own, small, "p7");
        long loads = small.Patches.Statistics.Loads;
        _ = await AnswerAsync(own, small, "p7");
        Assert.Equal(loads, small.Patches.Statistics.Loads);
    }

    /// <summary>Serves one patch per user. A patch needs almost no memory until it is used.</summary>
    [Fact]
    public async Task ServeAsync_ThousandsOfPatches_KeepsFewInMemory()
    {
        const int Users = 3000;
        Upload("any", seed: 1);
        for (int user = 0; user < Users; user++)
        {
            uploads.AddPatch($"user-{user}", uploads.FindPatch("any")!.Folder, $"sha of {user}");
            await hot.ServeAsync(Entry($"user-{user}"));
        }

        Assert.Equal(0, catalog.Patches.Statistics.Loads);
        int[] expected = await MergedAsync(("any", 1));
        int[][] answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(i => AnswerAsync($"user-{i * Users / 10}")));
        Assert.All(answers, answer => Assert.Equal(expected, answer));
        Assert.Equal(10, catalog.Patches.Statistics.Count);
        Assert.True(catalog.Served.Contains($"user-{Users - 1}"));
    }

    [Fact]
    public async Task ServeAsync_ModelFolderWiderThanTheOthers_IsServedAndRetiredWhileRequestsRun()
    {
        string folder = Directory.CreateTempSubdirectory("uploaded-").FullName;
        TinyModel.Write(folder, new() { Seed = 9, Context = TinyFamily.ContextLength, Vocabulary = 300 });
        int[] before = await AnswerAsync(TinyFamily.Plain, tokens: 60);
        Task<int[]> running = AnswerAsync(TinyFamily.Plain, tokens: 60);
        uploads.AddModel("brought", folder);

        await hot.ServeAsync(new() { Name = "brought", Base = new("brought"), Prompts = Plainly });
        Directory.Delete(folder, recursive: true);

        Assert.Equal(Tokens, (await AnswerAsync("brought")).Length);
        Assert.Equal(before, await running);
        Assert.Equal(before, await AnswerAsync(TinyFamily.Plain, tokens: 60));
        await (await hot.RetireAsync("brought", () => { })).WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(before, await AnswerAsync(TinyFamily.Plain, tokens: 60));
    }

    [Fact]
    public async Task ServeAsync_WhileAnotherUploadIsHashed_DoesNotWait()
    {
        string[] folders = [.. new[] { "slow", "fast" }.Select(name => Directory.CreateTempSubdirectory($"{name}-").FullName)];
        foreach ((string folder, string name) in folders.Zip(["slow", "fast"]))
        {
            TinyModel.Write(folder, new() { Seed = 9, Context = TinyFamily.ContextLength });
            uploads.AddModel(name, folder);
        }

        using ManualResetEventSlim open = new();
        uploads.OnVerify = folder => _ = folder == folders[0] && !open.Wait(TimeSpan.FromSeconds(30)) ? throw new TimeoutException() : 0;
        Task<ServedModel> slow = hot.ServeAsync(new() { Name = "slow", Base = new("slow"), Prompts = Plainly });

        await hot.ServeAsync(new() { Name = "fast", Base = new("fast"), Prompts = Plainly }).WaitAsync(TimeSpan.FromSeconds(20));

        Assert.False(slow.IsCompleted);
        open.Set();
        await slow;
        Assert.Equal(await AnswerAsync("fast"), await AnswerAsync("slow"));
        Assert.Equal(2, uploads.Verified);
        Array.ForEach(folders, folder => Directory.Delete(folder, recursive: true));
    }

    [Fact]
    public async Task RetireAsync_ModelWithAWaitingRequest_IsUnloadedAfterIt()
    {
        string folder = Directory.CreateTempSubdirectory("uploaded-").FullName;
        TinyModel.Write(folder, new() { Seed = 9, Context = TinyFamily.ContextLength });
        uploads.AddModel("brought", folder);
        ServedModel model = await hot.ServeAsync(new() { Name = "brought", Base = new("brought"), Prompts = Plainly });
        IDisposable use = model.Use();

        // The request is rendered but not submitted, so no sequence belongs to it.
        GenerationRequest request = Request(catalog, "brought", Tokens, null);
        Task freed = await hot.RetireAsync("brought", () => { });
        await Task.Delay(200);
        List<GeneratedToken> answer = await ReadAsync(scheduler.Submit(request));

        Assert.Equal(Tokens, answer.Count);
        Assert.False(freed.IsCompleted);
        use.Dispose();
        await freed.WaitAsync(TimeSpan.FromSeconds(10));
        Directory.Delete(folder, recursive: true);
    }

    public static TheoryData<string, string, string> Wrong => new()
    {
        { "taken name", TinyFamily.Plain, "is served already" },
        { "unknown patch", "nobody", "there is no patch 'nobody'" },
        { "shape", "narrow", "[64, 48]" },
        { "strange name", "a b", "accepted are letters" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task ServeAsync_EntryThatCannotBeServed_ChangesNothing(string what, string name, string message)
    {
        string narrow = family.PathOf("elsewhere");
        TinyModel.Write(narrow, new() { Hidden = 48 });
        Upload("narrow", seed: 1, "elsewhere");
        Upload("a b", seed: 1);
        string[] before = [.. catalog.Models.Select(model => model.Name)];

        EngineException error = await Assert.ThrowsAsync<EngineException>(async () =>
        {
            await hot.ServeAsync(Entry(name));
            _ = catalog.Get(name).Plan(AskedFusion.Nothing).LoadPatches();
        });

        Assert.True(error.Message.Contains(message, StringComparison.Ordinal), $"{what}: {error.Message}");
        Assert.DoesNotContain("catalog.json", error.Message, StringComparison.Ordinal);
        Assert.True(what == "shape" || before.SequenceEqual(catalog.Models.Select(model => model.Name)), what);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private async Task<WeakReference> ServeAndRetireAsync()
    {
        await ServeAsync("alice", seed: 1);
        WeakReference patch = new(catalog.Get("alice").Plan(AskedFusion.Nothing).LoadPatches().Streams[0].Patch);
        await AnswerAsync("alice");
        await (await hot.RetireAsync("alice", () => { })).WaitAsync(TimeSpan.FromSeconds(10));
        return patch;
    }

    private static Dictionary<string, PromptSettings> Plainly => new() { ["base"] = new() { Template = ServedStream.Plain } };

    private static ServedModelEntry Entry(string name) =>
        new() { Name = name, Base = new(TinyFamily.Base), Patches = [new() { Patch = name }], Prompts = Plainly };

    private async Task ServeAsync(string name, int seed)
    {
        Upload(name, seed);
        await hot.ServeAsync(Entry(name));
    }

    private void Upload(string name, int seed, string model = TinyFamily.Base)
    {
        string folder = family.PathOf("uploads", name);
        TinyPatch.Write(folder, family.PathOf(model), seed, TinyPatch.Modules);
        uploads.AddPatch(name, folder, $"sha of {name}");
    }

    private Task<int[]> AnswerAsync(string name, AskedFusion? fusion = null, int tokens = Tokens) => AnswerAsync(scheduler, catalog, name, fusion, tokens);

    private static async Task<int[]> AnswerAsync(DecodeScheduler scheduler, ModelHost catalog, string name, AskedFusion? fusion = null, int tokens = Tokens)
    {
        List<GeneratedToken> all = await ReadAsync(Submit(scheduler, catalog, name, tokens, fusion));
        return [.. all.Select(token => token.Id)];
    }

    private GenerationStream Submit(string name, int tokens) => Submit(scheduler, catalog, name, tokens);

    private static GenerationStream Submit(DecodeScheduler scheduler, ModelHost catalog, string name, int tokens, AskedFusion? fusion = null) =>
        scheduler.Submit(Request(catalog, name, tokens, fusion));

    private static GenerationRequest Request(ModelHost catalog, string name, int tokens, AskedFusion? fusion) => new()
    {
        Prompt = catalog.Get(name).Plan(fusion ?? AskedFusion.Nothing).Render(new int[] { 5, 9, 17 }),
        Sampling = new SamplingOptions { Temperature = 0 },
        MaxTokens = tokens,
        IgnoreEndOfText = true,
    };

    private static async Task<List<GeneratedToken>> ReadAsync(GenerationStream generation)
    {
        List<GeneratedToken> all = [];
        await foreach (GeneratedToken token in generation.Tokens.ReadAllAsync())
        {
            all.Add(token);
        }

        return all;
    }

    /// <summary>The greedy answer of the base with the patches merged into its weights.</summary>
    private async Task<int[]> MergedAsync(params (string Name, double Weight)[] patches)
    {
        string folder = Directory.CreateTempSubdirectory("merged-").FullName;
        CheckpointExporter.Export(family.PathOf(TinyFamily.Base), folder, [.. patches.Select(patch => new WeightedPatch(LowRankPatch.Read(uploads.FindPatch(patch.Name)!.Folder), patch.Weight))]);
        using ModelHost merged = ModelHost.Load(folder, new());
        await using DecodeScheduler own = new(merged.Ensemble, new());
        int[] answer = await AnswerAsync(own, merged, new DirectoryInfo(folder).Name);
        Directory.Delete(folder, recursive: true);
        return answer;
    }
}
