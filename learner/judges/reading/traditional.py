"""Writes Chinese phrases as Taiwan and Hong Kong do, so that one list serves both scripts.

The lists are in simplified characters. Of a character that stands for several traditional ones the
one that people use in reactions is taken; a phrase that has none of the characters is the same.
OpenCC would do it for any text: for the few hundred characters of one list it is no dependency that
everybody should carry.

Knows nothing of Japanese, whose kanji are another set.
"""

from typing import Final

# Simplified and traditional in turn.
_PAIRS: Final = (
    "个個们們这這来來说說话話对對错錯长長简簡单單详詳细細复複杂雜难難语語调調气氣写寫谢謝请請"
    "问問题題听聽读讀还還没沒过過时時间間现現实實际際样樣让讓给給会會应應该該为為么麼从從后後"
    "里裡几幾种種条條张張头頭结結东東边邊远遠进進运運动動开開关關门門机機风風标標点點数數据據"
    "资資讯訊词詞译譯汉漢体體国國贵貴费費价價钱錢买買卖賣货貨赏賞赞讚贴貼质質责責败敗贝貝负負"
    "贺賀赶趕输輸轻輕软軟转轉较較辞辭辩辯达達迟遲适適选選递遞逻邏遗遺邮郵邻鄰释釋钟鐘铁鐵铺鋪"
    "链鏈销銷锅鍋键鍵闻聞队隊阳陽阶階陆陸险險随隨隐隱雾霧静靜韩韓韵韻页頁顶頂项項顺順须須顾顧"
    "预預领領频頻颖穎颜顏额額颠顛饭飯饮飲馆館驴驢驶駛验驗骗騙骤驟鱼魚鸟鳥黄黃龙龍与與专專业業"
    "两兩严嚴丽麗举舉义義乌烏乐樂习習乡鄉书書乱亂亏虧产產亲親亵褻亿億仅僅仆僕众眾优優伙夥伟偉"
    "传傳伤傷伦倫侧側侦偵俩倆倾傾偿償储儲儿兒党黨兴興养養内內册冊军軍农農冲衝决決况況冻凍净淨"
    "凉涼减減划劃刘劉则則刚剛创創删刪别別剂劑剧劇劝勸办辦务務劳勞势勢区區医醫华華协協卢盧卫衛"
    "却卻厂廠厅廳历歷厉厲压壓厌厭厢廂县縣参參双雙发發变變叙敘台臺叶葉号號叹嘆吓嚇吗嗎启啟吴吳"
    "呐吶员員咏詠咙嚨响響哑啞哗嘩唤喚啰囉啸嘯喷噴嘘噓团團园園围圍图圖圆圓圣聖场場坏壞块塊坚堅"
    "坛壇坟墳坠墜墙牆壮壯声聲处處备備够夠夸誇夹夾奋奮奖獎妆妝妇婦妈媽娱娛婴嬰孙孫学學宁寧宝寶"
    "审審宪憲宫宮宽寬宾賓寻尋导導将將尔爾尘塵尝嘗层層属屬岁歲岛島币幣师師帐帳带帶帮幫广廣庆慶"
    "库庫庄莊归歸当當录錄彻徹径徑忆憶忧憂怀懷态態怜憐总總恋戀恶惡悬懸惊驚惯慣愿願懒懶战戰户戶"
    "扑撲执執扩擴扫掃扬揚扰擾抚撫抢搶护護报報担擔拟擬拣揀拥擁择擇挂掛挚摯挠撓挡擋挣掙挤擠挥揮"
    "捞撈损損换換捣搗掷擲掺摻揽攬搀攙摄攝摆擺摇搖撑撐敌敵断斷无無旧舊昼晝显顯晓曉晕暈暂暫术術"
    "朴樸权權杀殺极極构構枪槍柜櫃栏欄树樹检檢桥橋梦夢棱稜楼樓榄欖档檔欢歡欧歐残殘毁毀毕畢汇匯"
    "汤湯沟溝泪淚泼潑泽澤洁潔浅淺测測济濟浓濃涂塗涛濤润潤涩澀涨漲渐漸温溫湾灣湿濕满滿滚滾滥濫"
    "灭滅灯燈灵靈炉爐炼煉烂爛烦煩烧燒热熱爱愛爷爺牍牘牵牽状狀独獨狱獄献獻环環琐瑣电電画畫畅暢"
    "疗療疯瘋痴癡监監盖蓋盘盤着著矫矯码碼础礎确確礼禮祸禍离離秃禿积積称稱稳穩穷窮窃竊窍竅竞競"
    "笔筆笼籠签簽筑築类類粮糧紧緊约約级級纪紀纯純纲綱纳納纷紛纸紙线線练練组組绅紳终終绍紹经經"
    "绑綁绕繞绘繪络絡绝絕统統继繼绩績绪緒续續维維编編缩縮缓緩缘緣缠纏网網罗羅罚罰联聯聪聰肃肅"
    "肠腸肤膚胁脅胜勝脏髒脑腦脚腳脸臉腻膩舍捨艰艱艺藝节節芦蘆苏蘇荐薦药藥获獲营營萝蘿蓝藍虑慮"
    "虚虛虽雖蚀蝕蛮蠻补補袜襪装裝见見观觀规規视視览覽觉覺触觸订訂认認讨討训訓议議记記讲講许許"
    "论論讽諷设設访訪证證评評识識诉訴试試诗詩诚誠询詢误誤诲誨诶誒诸諸诺諾课課谁誰谈談谊誼谎謊"
    "谚諺谓謂谜謎谦謙谨謹谬謬谱譜尽盡连連马馬聋聾劲勁垫墊奥奧强強废廢云雲并並准準松鬆于於"
)
_TRADITIONAL: Final = str.maketrans(dict(zip(_PAIRS[::2], _PAIRS[1::2], strict=True)))


def traditional(phrase: tuple[str, ...]) -> tuple[str, ...]:
    """Return a phrase of simplified characters in traditional ones.

    >>> traditional(("太", "长", "了")), traditional(("不", "好"))
    (('太', '長', '了'), ('不', '好'))
    """
    return tuple(token.translate(_TRADITIONAL) for token in phrase)
