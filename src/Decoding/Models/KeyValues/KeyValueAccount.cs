namespace ProxyTune.Decoding.Models;

/// <summary>One model's part of the memory for keys and values.</summary>
/// <param name="trim">Gives back at once what is allocated beyond what is reserved.</param>
internal sealed class KeyValueAccount(KeyValueMemory memory, Action trim)
{
    /// <summary>The most that the live sequences can come to need, bytes.</summary>
    public long Reserved { get; private set; }

    /// <summary>Bytes that are allocated.</summary>
    public long Used { get; private set; }

    public bool HasSlack => Used > Reserved;

    /// <returns>Whether there is room, beside what others have reserved; if not, nothing changes.</returns>
    public bool TryReserve(long bytes)
    {
        if (!memory.TryReserve(bytes - Reserved))
        {
            return false;
        }

        Reserved = bytes;
        return true;
    }

    /// <summary>Tells how much is allocated from now on; makes room for it first.</summary>
    public void Use(long bytes)
    {
        memory.Use(this, bytes - Used);
        Used = bytes;
    }

    public void Trim() => trim();

    /// <summary>All that was allocated is free.</summary>
    public void Close()
    {
        Use(0);
        TryReserve(0);
        memory.Close(this);
    }
}
