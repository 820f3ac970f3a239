using ProxyTune.Checkpoints;
using ProxyTune.Decoding;
using ProxyTune.Decoding.Generation;
using ProxyTune.Gateway.Experts;

namespace ProxyTune.Gateway.Hosting;

/// <summary>Settings, from appsettings.json, then PROXYTUNE_ variables (PROXYTUNE_SCHEDULER__MAXWAITING), then the command line.</summary>
internal sealed record GatewayOptions
{
    // All threads start before anything is served, and each step weighs every draft length up to the longest.
    private const int MaxThreads = 1024, MaxDraft = 64;

    /// <summary>The models folder; null looks for <c>models</c> in the working folder and upwards.</summary>
    public string? Models { get; init; }

    /// <summary>Largest request body in bytes. Default 4 MiB.</summary>
    public long MaxBodyBytes { get; init; } = 4 << 20;

    public OperatorOptions Operator { get; init; } = new();

    public EngineOptions Engine { get; init; } = new();

    public SchedulerOptions Scheduler { get; init; } = new();

    /// <summary>What operators' uploads may cost.</summary>
    public ExpertStoreOptions Experts { get; init; } = new();

    /// <summary>Experts:Folder: where uploads are kept; null for <c>experts</c> in the models folder.</summary>
    public string? ExpertsFolder { get; private init; }

    public EvaluationOptions Gate { get; init; } = new();

    /// <exception cref="EngineException">InvalidValue, naming the setting.</exception>
    public static GatewayOptions Read(IConfiguration configuration)
    {
        GatewayOptions options;
        try
        {
            options = (configuration.Get<GatewayOptions>() ?? new GatewayOptions()) with { ExpertsFolder = configuration["Experts:Folder"] };
        }
        catch (InvalidOperationException error)
        {
            throw new EngineException(EngineError.InvalidValue, error.Message, inner: error);
        }

        if (options.Operator.Key is "")
        {
            throw new EngineException(EngineError.InvalidValue, "Operator:Key is empty; accepted is a text, or none at all, and then operators come from this machine only.", "Operator:Key");
        }

        AtLeast(1, options.MaxBodyBytes, nameof(MaxBodyBytes));
        Between(0, MaxThreads, options.Engine.Threads, "Engine:Threads");
        AtLeast(1, options.Engine.MaxSequences, "Engine:MaxSequences");
        AtLeast(1, options.Engine.KeyValueBytes ?? long.MaxValue, "Engine:KeyValueBytes");
        AtLeast(1, options.Scheduler.MaxRunning, "Scheduler:MaxRunning");
        AtLeast(1, options.Scheduler.MaxRemote, "Scheduler:MaxRemote");
        AtLeast(1, options.Scheduler.MaxWaiting, "Scheduler:MaxWaiting");
        AtLeast(1, options.Scheduler.PromptTokensPerStep, "Scheduler:PromptTokensPerStep");
        AtLeast(1, options.Engine.PatchBytes ?? long.MaxValue, "Engine:PatchBytes");
        AtLeast(1, options.Gate.TimeoutSeconds, "Gate:TimeoutSeconds");
        Between(0, MaxDraft, options.Scheduler.MaxDraft, "Scheduler:MaxDraft");
        return options;
    }

    private static void Between(int least, int most, int value, string setting)
    {
        if (value < least || value > most)
        {
            throw new EngineException(EngineError.InvalidValue, $"{setting} is {value}; it must be from {least} to {most}.", setting);
        }
    }

    private static void AtLeast(long least, long value, string setting)
    {
        if (value < least)
        {
            throw new EngineException(EngineError.InvalidValue, $"{setting} is {value}; it must be at least {least}.", setting);
        }
    }
}

/// <param name="Key">What operators send as <c>Authorization: Bearer KEY</c>; null takes connections from this machine as operators.</param>
internal sealed record OperatorOptions(string? Key = null);
