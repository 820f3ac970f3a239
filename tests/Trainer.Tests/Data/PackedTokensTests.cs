using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Tests.Data;

public sealed class PackedTokensTests
{
    private const int End = 0;

    private static int[] Document(long index) => [.. Enumerable.Range(1, (int)(index % 4) + 1).Select(i => (int)(100 * index) + i)];

    [Fact]
    public void Take_AnySizes_GivesDocumentsInOrderWithEndTokensAndOneSharedToken()
    {
        PackedTokens packed = new(Document, End, PackedPosition.Start);
        int[] expected = Enumerable.Range(0, 20).SelectMany(i => Document(i).Append(End)).ToArray();
        int offset = 0;

        foreach (int count in new[] { 5, 1, 12, 7 })
        {
            Assert.Equal(expected[offset..(offset + count + 1)], packed.Take(count));
            offset += count;
        }
    }

    [Fact]
    public void Take_FromASavedPosition_ContinuesExactly()
    {
        PackedTokens packed = new(Document, End, PackedPosition.Start);
        packed.Take(9);
        PackedPosition position = PackedPosition.FromJson(packed.Position.ToJson());

        Assert.Equal(packed.Take(11), new PackedTokens(Document, End, position).Take(11));
    }
}
