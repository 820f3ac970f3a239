namespace ProxyTune.Decoding.Experts;

/// <summary>What uploads may cost. Sizes in bytes.</summary>
public sealed record ExpertStoreOptions
{
    private const long Kibi = 1 << 10, Mebi = 1 << 20, Gibi = 1 << 30;

    /// <summary>All that the folder holds, uploads under way included. Default 16 GiB, at least 1 MiB.</summary>
    public long MaxBytes { get; init; } = 16 * Gibi;

    /// <summary>One upload: of what comes, and of what its archive becomes. Default 4 GiB, from 1 KiB to <see cref="MaxBytes"/>.</summary>
    public long MaxUploadBytes { get; init; } = 4 * Gibi;

    /// <summary>Files of one upload, those of its archive included. Default 32, from 2 to 4096.</summary>
    public int MaxFiles { get; init; } = 32;

    /// <summary>How many times as large as its archive a file may be, beyond its first MiB. Default 100, from 1 to 1000.</summary>
    public int MaxRatio { get; init; } = 100;

    /// <summary>A file that is read as a whole: JSON, a template, a graph without its weights. Default 64 MiB, from 1 KiB to 1 GiB.</summary>
    public long MaxTextBytes { get; init; } = 64 * Mebi;

    /// <summary>Experts at a time. Default 10,000, from 1 to 1,000,000.</summary>
    public int MaxExperts { get; init; } = 10_000;

    /// <summary>Rank of a patch. Default 512, from 1 to 4096.</summary>
    public int MaxRank { get; init; } = 512;

    /// <summary>How long unfinished blobs are kept. Default a day, at least a minute.</summary>
    public TimeSpan BlobLifetime { get; init; } = TimeSpan.FromDays(1);

    /// <exception cref="EngineException">InvalidValue, naming the setting, its value and what is accepted.</exception>
    public ExpertStoreOptions Checked()
    {
        Between(Mebi, long.MaxValue, MaxBytes, nameof(MaxBytes));
        Between(Kibi, MaxBytes, MaxUploadBytes, nameof(MaxUploadBytes));
        Between(2, 4096, MaxFiles, nameof(MaxFiles));
        Between(1, 1000, MaxRatio, nameof(MaxRatio));
        Between(Kibi, Gibi, MaxTextBytes, nameof(MaxTextBytes));
        Between(1, 1_000_000, MaxExperts, nameof(MaxExperts));
        Between(1, 4096, MaxRank, nameof(MaxRank));
        return BlobLifetime >= TimeSpan.FromMinutes(1)
            ? this
            : throw new EngineException(EngineError.InvalidValue, $"Experts:{nameof(BlobLifetime)} is {BlobLifetime}; it must be at least {TimeSpan.FromMinutes(1)}.", nameof(BlobLifetime));
    }

    private static void Between(long least, long most, long value, string setting)
    {
        if (value < least || value > most)
        {
            throw new EngineException(EngineError.InvalidValue, $"Experts:{setting} is {value}; it must be from {least} to {most}.", setting);
        }
    }
}
